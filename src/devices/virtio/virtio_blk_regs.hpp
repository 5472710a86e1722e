// Numbers of the block device (virtio 1.2, section 5.2).
#pragma once

#include <cstdint>

#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::virtio {

// 5.2.3 "Feature bits".
inline constexpr uint64_t kBlkSizeMax = bit(1);
inline constexpr uint64_t kBlkSegMax = bit(2);
inline constexpr uint64_t kBlkReadOnly = bit(5);
inline constexpr uint64_t kBlkBlockSize = bit(6);
inline constexpr uint64_t kBlkFlush = bit(9);
inline constexpr uint64_t kBlkMq = bit(12);
inline constexpr uint64_t kBlkDiscard = bit(13);
inline constexpr uint64_t kBlkWriteZeroes = bit(14);

// 5.2.4 "Device configuration layout".
struct BlkConfig {
    le64 capacity;
    le32 size_max;
    le32 seg_max;
    le16 cylinders;
    uint8_t heads = 0;
    uint8_t sectors = 0;
    le32 blk_size;
    uint8_t physical_block_exp = 0;
    uint8_t alignment_offset = 0;
    le16 min_io_size;
    le32 opt_io_size;
    uint8_t writeback = 0;
    uint8_t unused0 = 0;
    le16 num_queues;
    le32 max_discard_sectors;
    le32 max_discard_seg;
    le32 discard_sector_alignment;
    le32 max_write_zeroes_sectors;
    le32 max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap = 0;
    uint8_t unused1[3] = {};
};
static_assert(sizeof(BlkConfig) == 60);

inline constexpr uint32_t kBlkSector = 512;
inline constexpr size_t kBlkIdLength = 20;

// 5.2.6 "Device Operation".
struct BlkRequestHeader {
    le32 type;
    le32 reserved;
    le64 sector;
};
static_assert(sizeof(BlkRequestHeader) == 16);

enum class BlkRequestType : uint32_t {
    in = 0,
    out = 1,
    flush = 4,
    get_id = 8,
    discard = 11,
    write_zeroes = 13,
};

struct BlkRange {
    le64 sector;
    le32 num_sectors;
    le32 flags;
};
static_assert(sizeof(BlkRange) == 16);
inline constexpr uint32_t kBlkRangeUnmap = 1;

inline constexpr uint8_t kBlkStatusOk = 0;
inline constexpr uint8_t kBlkStatusIoError = 1;
inline constexpr uint8_t kBlkStatusUnsupported = 2;

}  // namespace banyan::virtio
