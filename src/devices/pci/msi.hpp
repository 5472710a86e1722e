// MSI with one message and a 64-bit address (PCI Local Bus Specification 3.0, 6.8.1). Its state is
// in configuration space alone: a function adds the capability, and asks for the message when it
// has an interrupt to tell of.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "vm/irq.hpp"

namespace banyan::pci {

inline constexpr uint8_t kCapabilityMsi = 0x05;
inline constexpr size_t kMsiBodySize = 12;

// For PciFunction::add_capability(): message control, address, upper address, data.
inline constexpr std::array<uint8_t, kMsiBodySize> kMsiBody{0x80};
inline constexpr std::array<uint8_t, kMsiBodySize> kMsiWritable{0x01, 0,    0xfc, 0xff, 0xff, 0xff,
                                                                0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// `capability` is configuration space from the capability on. Nothing while MSI is off.
inline std::optional<MsiMessage> msi_message(std::span<const uint8_t> capability) {
    if ((capability[2] & 1) == 0) return std::nullopt;
    MsiMessage message;
    uint16_t data = 0;
    std::memcpy(&message.address, capability.data() + 4, 8);
    std::memcpy(&data, capability.data() + 12, 2);
    message.data = data;
    return message;
}

}  // namespace banyan::pci
