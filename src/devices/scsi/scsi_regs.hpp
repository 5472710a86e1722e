// Numbers of SCSI: SPC-4 (T10/BSR INCITS 513), SBC-3 (INCITS 514), MMC-6 (INCITS 468).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace banyan::scsi {

inline constexpr size_t kCdbSize = 16;
using Cdb = std::array<uint8_t, kCdbSize>;

enum class Op : uint8_t {
    test_unit_ready = 0x00,
    request_sense = 0x03,
    read6 = 0x08,
    write6 = 0x0a,
    inquiry = 0x12,
    mode_select6 = 0x15,
    mode_sense6 = 0x1a,
    start_stop_unit = 0x1b,
    prevent_allow = 0x1e,
    read_capacity10 = 0x25,
    read10 = 0x28,
    write10 = 0x2a,
    seek10 = 0x2b,
    verify10 = 0x2f,
    synchronize_cache10 = 0x35,
    write_same10 = 0x41,
    unmap = 0x42,
    read_toc = 0x43,
    get_configuration = 0x46,
    get_event_status = 0x4a,
    read_disc_information = 0x51,
    mode_select10 = 0x55,
    mode_sense10 = 0x5a,
    read16 = 0x88,
    write16 = 0x8a,
    verify16 = 0x8f,
    synchronize_cache16 = 0x91,
    write_same16 = 0x93,
    service_action_in16 = 0x9e,
    report_luns = 0xa0,
    read12 = 0xa8,
    write12 = 0xaa,
    mechanism_status = 0xbd,
    read_cd = 0xbe,
};

inline constexpr uint8_t kReadCapacity16 = 0x10;  // service action, SBC-3 5.16

// SAM-5, 5.3.1 "Status codes".
inline constexpr uint8_t kStatusGood = 0x00;
inline constexpr uint8_t kStatusCheckCondition = 0x02;

// SPC-4, 4.5.6 "Sense key and additional sense code definitions".
enum class SenseKey : uint8_t {
    no_sense = 0x0,
    not_ready = 0x2,
    medium_error = 0x3,
    hardware_error = 0x4,
    illegal_request = 0x5,
    unit_attention = 0x6,
    data_protect = 0x7,
};

struct Sense {
    SenseKey key = SenseKey::no_sense;
    uint8_t asc = 0;   // additional sense code
    uint8_t ascq = 0;  // and its qualifier

    friend bool operator==(const Sense&, const Sense&) = default;
};

inline constexpr Sense kNoSense{};
inline constexpr Sense kInvalidOpcode{SenseKey::illegal_request, 0x20, 0x00};
inline constexpr Sense kLbaOutOfRange{SenseKey::illegal_request, 0x21, 0x00};
inline constexpr Sense kInvalidFieldInCdb{SenseKey::illegal_request, 0x24, 0x00};
inline constexpr Sense kLunNotSupported{SenseKey::illegal_request, 0x25, 0x00};
inline constexpr Sense kInvalidFieldInParameters{SenseKey::illegal_request, 0x26, 0x00};
inline constexpr Sense kParameterLengthError{SenseKey::illegal_request, 0x1a, 0x00};
inline constexpr Sense kSavingNotSupported{SenseKey::illegal_request, 0x39, 0x00};
inline constexpr Sense kRemovalPrevented{SenseKey::illegal_request, 0x53, 0x02};
inline constexpr Sense kIllegalModeForTrack{SenseKey::illegal_request, 0x64, 0x00};
inline constexpr Sense kWriteProtected{SenseKey::data_protect, 0x27, 0x00};
inline constexpr Sense kReadError{SenseKey::medium_error, 0x11, 0x00};
inline constexpr Sense kWriteError{SenseKey::medium_error, 0x0c, 0x00};
inline constexpr Sense kInternalFailure{SenseKey::hardware_error, 0x44, 0x00};
inline constexpr Sense kInitializingRequired{SenseKey::not_ready, 0x04, 0x02};
inline constexpr Sense kTrayOpen{SenseKey::not_ready, 0x3a, 0x02};
inline constexpr Sense kPowerOnOrReset{SenseKey::unit_attention, 0x29, 0x00};
inline constexpr Sense kMediumChanged{SenseKey::unit_attention, 0x28, 0x00};

// SPC-4, 4.5.3 "Fixed format sense data".
inline constexpr size_t kSenseSize = 18;

constexpr std::array<uint8_t, kSenseSize> fixed_format(const Sense& sense) {
    std::array<uint8_t, kSenseSize> bytes{};
    bytes[0] = 0x70;  // current, fixed format
    bytes[2] = static_cast<uint8_t>(sense.key);
    bytes[7] = kSenseSize - 8;
    bytes[12] = sense.asc;
    bytes[13] = sense.ascq;
    return bytes;
}

// Peripheral device types (SPC-4, 6.6.2).
inline constexpr uint8_t kTypeDisk = 0x00;
inline constexpr uint8_t kTypeCdrom = 0x05;

// Mode pages (SBC-3 6.5, SPC-4 7.5, MMC-3 5.5).
inline constexpr uint8_t kPageErrorRecovery = 0x01;
inline constexpr uint8_t kPageCaching = 0x08;
inline constexpr uint8_t kPageControl = 0x0a;
inline constexpr uint8_t kPageCapabilities = 0x2a;
inline constexpr uint8_t kPageAll = 0x3f;

}  // namespace banyan::scsi
