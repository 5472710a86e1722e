// Registers of the IDE function of the 82371SB (PIIX3; Intel 290550-002, 2.5 and 2.7) and of
// "Programming Interface for Bus Master IDE Controller" 1.0; those of the devices behind it are in
// ata_regs.hpp.
#pragma once

#include <cstdint>

#include "support/bits.hpp"

namespace banyan::ide {

// ATA/ATAPI-6, 7: the command block, by address.
enum class Command : uint8_t {
    data = 0,
    error_or_features = 1,
    count = 2,
    lba_low = 3,
    lba_mid = 4,
    lba_high = 5,
    device = 6,
    status_or_command = 7,
};
inline constexpr uint16_t kCommandPorts = 8;

// Bus Master IDE Controller 1.0, 2: eight bytes a channel.
enum class BusMaster : uint8_t {
    command = 0,
    status = 2,
    table = 4,
};
inline constexpr uint8_t kBusMasterStart = bit<uint8_t>(0);
inline constexpr uint8_t kBusMasterRead = bit<uint8_t>(3);
inline constexpr uint8_t kBusMasterActive = bit<uint8_t>(0);
inline constexpr uint8_t kBusMasterError = bit<uint8_t>(1);
inline constexpr uint8_t kBusMasterInterrupt = bit<uint8_t>(2);
inline constexpr uint8_t kBusMasterCapable = bit<uint8_t>(5) | bit<uint8_t>(6);

// IDETIM (2.5.9) of both channels, and SIDETIM.
inline constexpr uint16_t kTiming = 0x40;
inline constexpr uint16_t kSlaveTiming = 0x44;
inline constexpr uint16_t kTimingDecode = bit<uint16_t>(15);

}  // namespace banyan::ide
