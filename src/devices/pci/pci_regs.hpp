// Registers of a type 0 configuration header (PCI Local Bus Specification 3.0, chapter 6).
#pragma once

#include <cstdint>

#include "support/reg.hpp"

namespace banyan::pci {

inline constexpr uint16_t kConfigSize = 256;  // conventional configuration space
inline constexpr uint16_t kEcamConfigSize =
    4096;  // with the extended part, PCI Express Base 5.0, 7.2.2
inline constexpr unsigned kBarCount = 6;
inline constexpr unsigned kRomBar = kBarCount;  // the expansion ROM, counted with the BARs

enum class Reg8 : uint16_t {
    revision = 0x08,
    programming_interface = 0x09,
    subclass = 0x0a,
    base_class = 0x0b,
    cache_line_size = 0x0c,
    header_type = 0x0e,
    capabilities = 0x34,
    interrupt_line = 0x3c,
    interrupt_pin = 0x3d,
};

enum class Reg16 : uint16_t {
    vendor = 0x00,
    device = 0x02,
    command = 0x04,
    status = 0x06,
    subsystem_vendor = 0x2c,
    subsystem = 0x2e,
};

enum class Reg32 : uint16_t {
    bar0 = 0x10,  // six of them
    rom = 0x30,
};

inline constexpr uint16_t kFirstCapability = 0x40;
inline constexpr uint8_t kCapabilityMsix = 0x11;
inline constexpr uint8_t kCapabilityVendor = 0x09;
inline constexpr uint8_t kHeaderMultifunction = 0x80;

// 6.2.2 "Device Control".
struct Command : Reg<uint16_t> {
    using IoSpace = Field<Command, 0, 0, bool>;
    using MemorySpace = Field<Command, 1, 1, bool>;
    using BusMaster = Field<Command, 2, 2, bool>;
    using ParityErrorResponse = Field<Command, 6, 6, bool>;
    using SerrEnable = Field<Command, 8, 8, bool>;
    using InterruptDisable = Field<Command, 10, 10, bool>;
};

// 6.2.3 "Device Status".
struct Status : Reg<uint16_t> {
    using InterruptStatus = Field<Status, 3, 3, bool>;
    using CapabilitiesList = Field<Status, 4, 4, bool>;
};

// 6.8.2.3 "Message Control for MSI-X".
struct MsixControl : Reg<uint16_t> {
    using TableSize = Field<MsixControl, 10, 0, uint16_t>;  // minus one
    using FunctionMask = Field<MsixControl, 14, 14, bool>;
    using Enable = Field<MsixControl, 15, 15, bool>;
};

// Whether an access of `size` bytes at `offset` reaches any of `count` bytes from `first` on.
constexpr bool touches(uint16_t offset, unsigned size, uint16_t first, unsigned count) {
    return offset < first + count && first < offset + size;
}

}  // namespace banyan::pci
