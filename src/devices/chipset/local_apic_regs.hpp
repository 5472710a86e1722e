// Registers of the local APIC: Intel SDM vol. 3, tables 11-1 and 11-6.
#pragma once

#include <cstdint>

#include "devices/chipset/apic_bus.hpp"
#include "devices/chipset/local_apic_timer.hpp"
#include "support/reg.hpp"

namespace banyan {

// Offset in the memory range divided by 16; also the MSR's number relative to 800H.
enum class ApicRegister : uint8_t {
    id = 0x02,             // r-
    version = 0x03,        // r-
    tpr = 0x08,            // rw
    apr = 0x09,            // r-, xAPIC only
    ppr = 0x0A,            // r-
    eoi = 0x0B,            // -w
    rrd = 0x0C,            // r-, xAPIC only
    ldr = 0x0D,            // rw, x2APIC r-
    dfr = 0x0E,            // rw, xAPIC only
    svr = 0x0F,            // rw
    isr = 0x10,            // r-, eight
    tmr = 0x18,            // r-, eight
    irr = 0x20,            // r-, eight
    esr = 0x28,            // rw
    icr_low = 0x30,        // rw, x2APIC: all 64 bits
    icr_high = 0x31,       // rw, xAPIC only
    lvt_timer = 0x32,      // rw
    lvt_thermal = 0x33,    // rw
    lvt_perf = 0x34,       // rw
    lvt_lint0 = 0x35,      // rw
    lvt_lint1 = 0x36,      // rw
    lvt_error = 0x37,      // rw
    initial_count = 0x38,  // rw
    current_count = 0x39,  // r-
    divide = 0x3E,         // rw
    self_ipi = 0x3F,       // -w, x2APIC only
};

inline constexpr uint32_t kMsrApicBase = 0x1B;
inline constexpr uint32_t kMsrTscDeadline = 0x6E0;
inline constexpr uint32_t kMsrX2ApicFirst = 0x800;
inline constexpr uint32_t kMsrX2ApicLast = 0x8FF;

// IA32_APIC_BASE, Intel SDM 11.4.4 and 11.12.1.
struct ApicBase : Reg<uint64_t> {
    using Base = Field<ApicBase, 63, 12, uint64_t>;
    using Enabled = Field<ApicBase, 11, 11, bool>;
    using X2Apic = Field<ApicBase, 10, 10, bool>;
    using BootProcessor = Field<ApicBase, 8, 8, bool>;

    static constexpr uint64_t kPowerOn = 0xFEE0'0000 | bit(11);
};

// Version register, Intel SDM 11.4.8: a 1xH version is an integrated APIC; bit 24 says that EOI
// broadcasts can be suppressed; six LVT entries.
inline constexpr uint32_t kApicVersion = 0x14 | (5U << 16) | (1U << 24);

// Spurious-interrupt vector register, Intel SDM 11.9.
struct Svr : Reg<uint32_t> {
    using SuppressEoiBroadcast = Field<Svr, 12, 12, bool>;
    using SoftwareEnabled = Field<Svr, 8, 8, bool>;

    // Bit 9 (focus processor checking) is kept although it has no effect: older kernels set it.
    static constexpr uint32_t kWritable = mask<uint32_t>(9, 0) | bit<uint32_t>(12);
    static constexpr uint32_t kPowerOn = 0xFF;
};

// Local vector table entry, Intel SDM 11.5.1.
struct Lvt : Reg<uint32_t> {
    using TimerMode = Field<Lvt, 18, 17, ApicTimer::Mode>;
    using Masked = Field<Lvt, 16, 16, bool>;
    using Trigger = Field<Lvt, 15, 15, TriggerMode>;
    using RemoteIrr = Field<Lvt, 14, 14, bool>;  // read only
    using Polarity = Field<Lvt, 13, 13, bool>;
    using Mode = Field<Lvt, 10, 8, DeliveryMode>;
    using Vector = Field<Lvt, 7, 0, uint8_t>;

    static constexpr uint32_t kPowerOn = bit<uint32_t>(16);
    static constexpr uint32_t kReadOnly = bit<uint32_t>(12) | bit<uint32_t>(14);
    // All that an entry can hold.
    static constexpr uint32_t kSaved = mask<uint32_t>(18, 13) | mask<uint32_t>(10, 0);
};

// In the order of the registers.
enum class LvtIndex : uint8_t { timer, thermal, perf, lint0, lint1, error };
inline constexpr unsigned kLvtCount = 6;

enum class IcrShorthand : uint8_t { none, self, all, all_but_self };

// Interrupt command register, Intel SDM 11.6.1 and 11.12.9.
struct Icr : Reg<uint64_t> {
    using Destination = Field<Icr, 63, 56, uint8_t>;
    using X2ApicDestination = Field<Icr, 63, 32, uint32_t>;
    using Shorthand = Field<Icr, 19, 18, IcrShorthand>;
    using Trigger = Field<Icr, 15, 15, TriggerMode>;
    using Assert = Field<Icr, 14, 14, bool>;
    using LogicalDestination = Field<Icr, 11, 11, bool>;
    using Mode = Field<Icr, 10, 8, DeliveryMode>;
    using Vector = Field<Icr, 7, 0, uint8_t>;

    static constexpr uint32_t kLowWritable =
        mask<uint32_t>(19, 18) | mask<uint32_t>(15, 14) | mask<uint32_t>(11, 0);
    static constexpr uint32_t kDeliveryStatus = bit<uint32_t>(12);  // messages never wait: 0
    static constexpr uint32_t kHighWritable = mask<uint32_t>(31, 24);
};

// Error status register, Intel SDM 11.5.3.
enum EsrBit : uint8_t {
    kEsrSendIllegalVector = 1 << 5,
    kEsrReceivedIllegalVector = 1 << 6,
    kEsrIllegalRegister = 1 << 7,
};

// Destination format register, Intel SDM 11.6.2.2: 1111 flat, 0000 cluster.
inline constexpr uint32_t kDfrWritable = mask<uint32_t>(31, 28);

// Divide configuration register, Intel SDM 11.5.4.
inline constexpr uint32_t kDivideWritable = 0b1011;

// Vectors below are reserved for exceptions and cannot be delivered, Intel SDM 11.5.2.
inline constexpr uint8_t kFirstApicVector = 16;

}  // namespace banyan
