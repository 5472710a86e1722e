// Numbers of ATA: ATA/ATAPI Command Set 3 (ACS-3, T13/2161-D) and, for what old systems use,
// ATA/ATAPI-6 (T13/1410D).
#pragma once

#include <cstdint>

#include "support/bits.hpp"

namespace banyan::ata {

// ACS-3, 6.2 "Status field"; ATA/ATAPI-6, 7.15.
inline constexpr uint8_t kStatusError = bit<uint8_t>(0);
inline constexpr uint8_t kStatusDataRequest = bit<uint8_t>(3);
inline constexpr uint8_t kStatusSeekComplete = bit<uint8_t>(4);
inline constexpr uint8_t kStatusReady = bit<uint8_t>(6);
inline constexpr uint8_t kStatusBusy = bit<uint8_t>(7);
// What a device shows that waits for a command.
inline constexpr uint8_t kStatusIdle = kStatusReady | kStatusSeekComplete;

// ACS-3, 6.3 "Error field".
inline constexpr uint8_t kErrorAbort = bit<uint8_t>(2);
inline constexpr uint8_t kErrorIdNotFound = bit<uint8_t>(4);
inline constexpr uint8_t kErrorUncorrectable = bit<uint8_t>(6);
// ACS-3, 7.9.4: what EXECUTE DEVICE DIAGNOSTIC and resets leave in it: device 0 passed.
inline constexpr uint8_t kDiagnosticPassed = 0x01;

// Device register.
inline constexpr uint8_t kDeviceLba = bit<uint8_t>(6);
inline constexpr uint8_t kDeviceSelect = bit<uint8_t>(4);
inline constexpr uint8_t kDeviceObsolete = 0xa0;  // bits that read as one in old devices

// Device control register.
inline constexpr uint8_t kControlNoInterrupt = bit<uint8_t>(1);
inline constexpr uint8_t kControlSoftReset = bit<uint8_t>(2);
inline constexpr uint8_t kControlHighOrder = bit<uint8_t>(7);

// ATAPI interrupt reason, in the sector count register (ATA/ATAPI-6, 9.8).
inline constexpr uint8_t kReasonCommand = bit<uint8_t>(0);
inline constexpr uint8_t kReasonToHost = bit<uint8_t>(1);

inline constexpr uint32_t kSector = 512;
inline constexpr uint64_t kPacketSize = 12;

// ACS-3, 9.12: signatures in count and LBA.
inline constexpr uint64_t kSignatureDisk = 0x000001;
inline constexpr uint64_t kSignaturePacket = 0xeb1401;

enum class Op : uint8_t {
    nop = 0x00,
    data_set_management = 0x06,
    device_reset = 0x08,
    recalibrate = 0x10,
    read_sectors = 0x20,
    read_sectors_without_retry = 0x21,
    read_sectors_ext = 0x24,
    read_dma_ext = 0x25,
    read_multiple_ext = 0x29,
    read_log_ext = 0x2f,
    write_sectors = 0x30,
    write_sectors_without_retry = 0x31,
    write_sectors_ext = 0x34,
    write_dma_ext = 0x35,
    write_multiple_ext = 0x39,
    write_dma_fua_ext = 0x3d,
    read_verify = 0x40,
    read_verify_without_retry = 0x41,
    read_verify_ext = 0x42,
    read_fpdma_queued = 0x60,
    write_fpdma_queued = 0x61,
    seek = 0x70,
    execute_device_diagnostic = 0x90,
    initialize_device_parameters = 0x91,
    packet = 0xa0,
    identify_packet_device = 0xa1,
    read_multiple = 0xc4,
    write_multiple = 0xc5,
    set_multiple_mode = 0xc6,
    read_dma = 0xc8,
    read_dma_without_retry = 0xc9,
    write_dma = 0xca,
    write_dma_without_retry = 0xcb,
    write_multiple_fua_ext = 0xce,
    standby_immediate = 0xe0,
    idle_immediate = 0xe1,
    standby = 0xe2,
    idle = 0xe3,
    check_power_mode = 0xe5,
    sleep = 0xe6,
    flush_cache = 0xe7,
    flush_cache_ext = 0xea,
    identify_device = 0xec,
    set_features = 0xef,
};

// SET FEATURES (ACS-3, 7.45.2).
enum class Feature : uint8_t {
    enable_write_cache = 0x02,
    set_transfer_mode = 0x03,
    disable_look_ahead = 0x55,
    disable_revert_to_defaults = 0x66,
    disable_write_cache = 0x82,
    enable_look_ahead = 0xaa,
    enable_revert_to_defaults = 0xcc,
};

inline constexpr uint16_t kTrim = 1;  // feature bit of DATA SET MANAGEMENT, 7.5

// Logs that READ LOG EXT gives (ACS-3, annex A).
inline constexpr uint8_t kLogDirectory = 0x00;
inline constexpr uint8_t kLogQueuedError = 0x10;

}  // namespace banyan::ata
