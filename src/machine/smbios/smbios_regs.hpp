// Layouts of SMBIOS structures. Source: DMTF DSP0134 3.0, chapter 7; strings follow each.
#pragma once

#include <array>
#include <cstdint>

#include "support/le.hpp"

namespace banyan::smbios {

struct Header {
    uint8_t type = 0;
    uint8_t length = 0;
    le16 handle;
};

// Section 7.1.
struct BiosInformation {
    static constexpr uint8_t kType = 0;
    Header header;
    uint8_t vendor = 0;
    uint8_t version = 0;
    le16 segment;
    uint8_t release_date = 0;
    uint8_t rom_size = 0;
    le64 characteristics;
    std::array<uint8_t, 2> extension{};
    uint8_t major = 0;
    uint8_t minor = 0;
    uint8_t controller_major = 0xFF;
    uint8_t controller_minor = 0xFF;
};
static_assert(sizeof(BiosInformation) == 24);

// Section 7.2.
struct SystemInformation {
    static constexpr uint8_t kType = 1;
    Header header;
    uint8_t manufacturer = 0;
    uint8_t product = 0;
    uint8_t version = 0;
    uint8_t serial = 0;
    std::array<uint8_t, 16> uuid{};
    uint8_t wake_up = 6;  // power switch
    uint8_t sku = 0;
    uint8_t family = 0;
};
static_assert(sizeof(SystemInformation) == 27);

// Section 7.4.
struct Enclosure {
    static constexpr uint8_t kType = 3;
    Header header;
    uint8_t manufacturer = 0;
    uint8_t kind = 1;  // other
    uint8_t version = 0;
    uint8_t serial = 0;
    uint8_t asset_tag = 0;
    uint8_t boot_state = 3;  // safe
    uint8_t power_state = 3;
    uint8_t thermal_state = 3;
    uint8_t security = 2;  // unknown
    le32 oem;
    uint8_t height = 0;
    uint8_t power_cords = 0;
    uint8_t contained = 0;
    uint8_t record_length = 0;
    uint8_t sku = 0;
};
static_assert(sizeof(Enclosure) == 22);

// Section 7.5, as of version 2.6.
struct Processor {
    static constexpr uint8_t kType = 4;
    Header header;
    uint8_t socket = 0;
    uint8_t kind = 3;    // central processor
    uint8_t family = 1;  // other
    uint8_t manufacturer = 0;
    le64 id;
    uint8_t version = 0;
    uint8_t voltage = 0;
    le16 external_clock;
    le16 max_speed;
    le16 speed;
    uint8_t status = 0x41;  // populated, enabled
    uint8_t upgrade = 1;    // other
    le16 l1{uint16_t{0xFFFF}};
    le16 l2{uint16_t{0xFFFF}};
    le16 l3{uint16_t{0xFFFF}};
    uint8_t serial = 0;
    uint8_t asset_tag = 0;
    uint8_t part = 0;
    uint8_t cores = 1;
    uint8_t enabled_cores = 1;
    uint8_t threads = 1;
    le16 characteristics{uint16_t{1U << 2}};  // 64 bits
    le16 family2{uint16_t{1}};
};
static_assert(sizeof(Processor) == 42);

// Section 7.17, as of version 2.7.
struct MemoryArray {
    static constexpr uint8_t kType = 16;
    Header header;
    uint8_t location = 1;    // other
    uint8_t use = 3;         // system memory
    uint8_t correction = 3;  // none
    le32 capacity;           // KiB; 80000000h: see below
    le16 error_handle{uint16_t{0xFFFE}};
    le16 devices{uint16_t{1}};
    le64 extended_capacity;  // bytes
};
static_assert(sizeof(MemoryArray) == 23);

// Section 7.18, as of version 2.7.
struct MemoryDevice {
    static constexpr uint8_t kType = 17;
    Header header;
    le16 array;
    le16 error_handle{uint16_t{0xFFFE}};
    le16 total_width{uint16_t{0xFFFF}};
    le16 data_width{uint16_t{0xFFFF}};
    le16 size;         // MiB; 7FFFh: see below
    uint8_t form = 9;  // DIMM
    uint8_t device_set = 0;
    uint8_t locator = 0;
    uint8_t bank = 0;
    uint8_t kind = 7;  // RAM
    le16 detail{uint16_t{2}};
    le16 speed;
    uint8_t manufacturer = 0;
    uint8_t serial = 0;
    uint8_t asset_tag = 0;
    uint8_t part = 0;
    uint8_t attributes = 0;
    le32 extended_size;  // MiB
    le16 configured_speed;
};
static_assert(sizeof(MemoryDevice) == 34);

// Section 7.20, as of version 2.7.
struct MappedAddress {
    static constexpr uint8_t kType = 19;
    Header header;
    le32 start;  // KiB; FFFFFFFFh: see below
    le32 end;
    le16 array;
    uint8_t width = 1;
    le64 extended_start;  // bytes
    le64 extended_end;
};
static_assert(sizeof(MappedAddress) == 31);

// Section 7.33.
struct BootInformation {
    static constexpr uint8_t kType = 32;
    Header header;
    std::array<uint8_t, 6> reserved{};
    uint8_t status = 0;  // no errors
};
static_assert(sizeof(BootInformation) == 11);

// Section 7.45.
struct EndOfTable {
    static constexpr uint8_t kType = 127;
    Header header;
};

// Section 5.2.1.
struct EntryPoint {
    std::array<char, 4> anchor{'_', 'S', 'M', '_'};
    uint8_t checksum = 0;
    uint8_t length = 0x1F;
    uint8_t major = 2;
    uint8_t minor = 8;
    le16 largest;
    uint8_t revision = 0;
    std::array<uint8_t, 5> formatted{};
    std::array<char, 5> intermediate_anchor{'_', 'D', 'M', 'I', '_'};
    uint8_t intermediate_checksum = 0;
    le16 table_length;
    le32 table_address;
    le16 count;
    uint8_t bcd_revision = 0x28;
};
static_assert(sizeof(EntryPoint) == 0x1F);

}  // namespace banyan::smbios
