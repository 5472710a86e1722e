// VHDX on disk: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format", whose sections are cited.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/le.hpp"

namespace banyan::vhdx {

// As on disk: three little-endian numbers and eight bytes.
using Guid = std::array<uint8_t, 16>;

constexpr Guid make_guid(uint32_t a, uint16_t b, uint16_t c, std::array<uint8_t, 8> rest) {
    Guid guid{};
    for (size_t i = 0; i < 4; ++i)
        guid[i] = static_cast<uint8_t>(a >> 8 * i);
    for (size_t i = 0; i < 2; ++i) {
        guid[4 + i] = static_cast<uint8_t>(b >> 8 * i);
        guid[6 + i] = static_cast<uint8_t>(c >> 8 * i);
    }
    for (size_t i = 0; i < 8; ++i)
        guid[8 + i] = rest[i];
    return guid;
}

// 2.2: the header section, in the first MiB.
inline constexpr uint64_t kFileSignature = 0x656C696678646876;  // "vhdxfile"
inline constexpr std::array<uint64_t, 2> kHeaderOffsets{64 << 10, 128 << 10};
inline constexpr std::array<uint64_t, 2> kRegionOffsets{192 << 10, 256 << 10};
inline constexpr uint64_t kHeaderBytes = 4096;  // that the checksum is of
inline constexpr uint64_t kRegionBytes = 64 << 10;
inline constexpr uint32_t kHeaderSignature = 0x64616568;  // "head"
inline constexpr uint32_t kRegionSignature = 0x69676572;  // "regi"
inline constexpr uint16_t kVersion = 1;

// 2.2.2
struct Header {
    le32 signature;
    le32 checksum;
    le64 sequence;
    Guid file_write;
    Guid data_write;
    Guid log;  // zeroes: the log is empty
    le16 log_version;
    le16 version;
    le32 log_length;
    le64 log_offset;
};
static_assert(sizeof(Header) == 80 && offsetof(Header, log) == 48);

// 2.2.3
struct RegionTable {
    le32 signature;
    le32 checksum;
    le32 entries;
    le32 reserved;
};
struct RegionEntry {
    Guid guid;
    le64 offset;
    le32 length;
    le32 required;
};
static_assert(sizeof(RegionTable) == 16 && sizeof(RegionEntry) == 32);
inline constexpr uint32_t kMostRegions = 2047;
inline constexpr Guid kBatRegion =
    make_guid(0x2DC27766, 0xF623, 0x4200, {0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08});
inline constexpr Guid kMetadataRegion =
    make_guid(0x8B7CA206, 0x4790, 0x4B9A, {0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E});

// 2.3: the log, of entries that begin at its sectors of 4 KiB.
inline constexpr uint32_t kLogSignature = 0x65676F6C;  // "loge"
inline constexpr uint64_t kLogSector = 4096;
struct LogEntry {
    le32 signature;
    le32 checksum;
    le32 entry_length;
    le32 tail;
    le64 sequence;
    le32 descriptors;
    le32 reserved;
    Guid log;
};
static_assert(offsetof(LogEntry, log) == 32);

// 2.5
inline constexpr uint64_t kBatStateMask = 7;
inline constexpr uint64_t kBatOffsetMask = ~((uint64_t{1} << 20) - 1);
inline constexpr uint64_t kBlockPresent = 6;
inline constexpr uint64_t kBlockPartlyPresent = 7;
inline constexpr uint64_t kSectorsInChunk = uint64_t{1} << 23;  // that one bitmap block tells of

// 2.6
inline constexpr uint64_t kMetadataSignature = 0x617461646174656D;  // "metadata"
struct MetadataTable {
    le64 signature;
    le16 reserved;
    le16 entries;
    std::array<uint8_t, 20> reserved2;
};
struct MetadataEntry {
    Guid item;
    le32 offset;
    le32 length;
    le32 flags;
    le32 reserved;
};
static_assert(sizeof(MetadataTable) == 32 && sizeof(MetadataEntry) == 32);
inline constexpr uint16_t kMostItems = 2047;
inline constexpr uint32_t kItemRequired = 4;
inline constexpr uint32_t kHasParent = 2;  // of the file parameters' flags

struct FileParameters {
    le32 block_size;
    le32 flags;
};

inline constexpr Guid kFileParameters =
    make_guid(0xCAA16737, 0xFA36, 0x4D43, {0xB3, 0xB6, 0x33, 0xF0, 0xAA, 0x44, 0xE7, 0x6B});
inline constexpr Guid kDiskSize =
    make_guid(0x2FA54224, 0xCD1B, 0x4876, {0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4, 0xB8});
inline constexpr Guid kLogicalSectorSize =
    make_guid(0x8141BF1D, 0xA96F, 0x4709, {0xBA, 0x47, 0xF2, 0x33, 0xA8, 0xFA, 0xAB, 0x5F});
inline constexpr Guid kPhysicalSectorSize =
    make_guid(0xCDA348C7, 0x445D, 0x4471, {0x9C, 0xC9, 0xE9, 0x88, 0x52, 0x51, 0xC5, 0x56});
inline constexpr Guid kDiskId =
    make_guid(0xBECA12AB, 0xB2E6, 0x4523, {0x93, 0xEF, 0xC3, 0x09, 0xE0, 0x00, 0xC7, 0x46});

}  // namespace banyan::vhdx
