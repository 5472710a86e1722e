// qcow2 on disk: QEMU's docs/interop/qcow2.rst, whose section titles are cited throughout the
// room.
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/be.hpp"

namespace banyan::qcow2 {

// "Header". Version 2 ends before incompatible_features.
inline constexpr uint32_t kMagic = 0x514649FB;  // "QFI\xfb"
inline constexpr uint32_t kHeaderSizeV2 = 72;
inline constexpr uint32_t kLeastHeaderSizeV3 = 104;

struct Header {
    be32 magic;
    be32 version;
    be64 backing_file_offset;
    be32 backing_file_size;
    be32 cluster_bits;
    be64 size;
    be32 crypt_method;
    be32 l1_size;
    be64 l1_table_offset;
    be64 refcount_table_offset;
    be32 refcount_table_clusters;
    be32 nb_snapshots;
    be64 snapshots_offset;
    be64 incompatible_features;
    be64 compatible_features;
    be64 autoclear_features;
    be32 refcount_order;
    be32 header_length;
    uint8_t compression_type = 0;  // "Additional fields"
    uint8_t padding[7] = {};
};
static_assert(sizeof(Header) == 112);
static_assert(offsetof(Header, snapshots_offset) == 64);
static_assert(offsetof(Header, incompatible_features) == kHeaderSizeV2);
static_assert(offsetof(Header, compression_type) == kLeastHeaderSizeV3);

inline constexpr uint64_t kIncompatibleDirty = 1U << 0;
inline constexpr uint64_t kIncompatibleCorrupt = 1U << 1;
inline constexpr uint64_t kIncompatibleExternalData = 1U << 2;
inline constexpr uint64_t kIncompatibleCompression = 1U << 3;
inline constexpr uint64_t kIncompatibleExtendedL2 = 1U << 4;
inline constexpr uint64_t kIncompatibleKnown = 0x1F;
inline constexpr uint64_t kCompatibleLazyRefcounts = 1U << 0;
inline constexpr uint64_t kAutoclearBitmaps = 1U << 0;

inline constexpr uint8_t kCompressionDeflate = 0;
inline constexpr uint8_t kCompressionZstd = 1;

// "Header extensions"
struct Extension {
    be32 type;
    be32 length;
};
static_assert(sizeof(Extension) == 8);
inline constexpr uint32_t kExtensionEnd = 0;
inline constexpr uint32_t kExtensionBackingFormat = 0xE2792ACA;
inline constexpr uint32_t kExtensionFeatureNames = 0x6803F857;

// "Feature name table"
struct FeatureName {
    uint8_t type = 0;  // 0: incompatible
    uint8_t bit = 0;
    char name[46] = {};
};
static_assert(sizeof(FeatureName) == 48);

// "Cluster mapping": entries of L1 and L2 tables. Bits 9 to 55 are an offset.
inline constexpr uint64_t kOffsetMask = 0x00FF'FFFF'FFFF'FE00;
inline constexpr uint64_t kCopied = uint64_t{1} << 63;
inline constexpr uint64_t kCompressed = uint64_t{1} << 62;
inline constexpr uint64_t kZero = 1;
inline constexpr uint64_t kL1Reserved = ~(kOffsetMask | kCopied);
inline constexpr uint64_t kL2Reserved = ~(kOffsetMask | kCopied | kZero);
inline constexpr uint64_t kEntrySize = 8;

// "Host cluster management"
inline constexpr uint64_t kRefcountTableReserved = 0x1FF;

// "Snapshots"
struct SnapshotEntry {
    be64 l1_table_offset;
    be32 l1_size;
    be16 id_length;
    be16 name_length;
    be32 seconds;
    be32 nanoseconds;
    be64 guest_nanoseconds;
    be32 vm_state_size;
    be32 extra_data_size;
};
static_assert(sizeof(SnapshotEntry) == 40);

// Sectors of which the size of compressed data is told, and which a power cut leaves whole.
inline constexpr uint64_t kSector = 512;

// Limits of QEMU's implementation: what is beyond them is refused.
inline constexpr unsigned kLeastClusterBits = 9;
inline constexpr unsigned kMostClusterBits = 21;
inline constexpr uint64_t kMostL1Bytes = 32U << 20;
inline constexpr uint64_t kMostRefcountTableBytes = 8U << 20;
inline constexpr uint32_t kMostBackingName = 1023;
inline constexpr uint32_t kMostSnapshots = 65536;
inline constexpr uint64_t kMostSnapshotTableBytes = 64U << 20;
inline constexpr uint32_t kMostSnapshotExtra = 1024;
inline constexpr uint64_t kMostHostOffset = kOffsetMask;

}  // namespace banyan::qcow2
