// Registers of the watchdog timer of the 6300ESB I/O controller hub (Intel data sheet 300641,
// chapter 16 "Watchdog timer").
#pragma once

#include <cstdint>

#include "support/reg.hpp"

namespace banyan::esb {

// Configuration space.
inline constexpr uint16_t kConfiguration = 0x60;  // 16 bits
inline constexpr uint16_t kLock = 0x68;           // 8 bits

// WDT configuration register.
struct Configuration : Reg<uint16_t> {
    using OutputDisabled = Field<Configuration, 5, 5, bool>;  // WDT_OUTPUT: a time-out resets not
    using MegaHertz = Field<Configuration, 2, 2, bool>;       // WDT_PRE_SEL: 1 MHz, else 1 kHz
    using InterruptType = Field<Configuration, 1, 0, uint8_t>;
    static constexpr uint16_t kWritable = 0x27;
};

// WDT lock register.
struct Lock : Reg<uint8_t> {
    using FreeRunning = Field<Lock, 2, 2, bool>;  // WDT_TOUT_CNF: there is no second stage
    using Enable = Field<Lock, 1, 1, bool>;
    using Locked = Field<Lock, 0, 0, bool>;  // until the next reset
    static constexpr uint8_t kWritable = 0x07;
};

// Memory-mapped.
enum Offset : uint64_t {
    PRELOAD1 = 0x00,
    PRELOAD2 = 0x04,
    INTERRUPT_STATUS = 0x08,
    RELOAD = 0x0C,
};
inline constexpr uint64_t kMmioSize = 16;
inline constexpr uint32_t kPreloadMask = 0xF'FFFF;
inline constexpr uint32_t kInterrupt = 0x01;   // of INTERRUPT_STATUS
inline constexpr uint32_t kReloadNow = 0x100;  // of RELOAD
inline constexpr uint32_t kTimedOut = 0x200;   // of RELOAD, cleared by writing 1
inline constexpr uint8_t kUnlock1 = 0x80;      // to RELOAD, one after the other:
inline constexpr uint8_t kUnlock2 = 0x86;      // the next write to a register counts

// The timer counts periods of the PCI clock.
inline constexpr uint64_t kPciClockNs = 30;
inline constexpr unsigned kKiloHertzShift = 15;
inline constexpr unsigned kMegaHertzShift = 5;

}  // namespace banyan::esb
