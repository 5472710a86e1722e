#include "backends/block/foreign/vhdx_image.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "backends/block/foreign/crc32c.hpp"
#include "backends/block/foreign/vhdx_regs.hpp"
#include "backends/block/image/image_error.hpp"

namespace banyan {

namespace {

using namespace vhdx;

constexpr uint64_t kMostVhdxBytes = uint64_t{64} << 40;  // 2.6.2.2

// The checksum is the second word, and is counted as zeroes.
bool has_right_crc(std::span<std::byte> bytes) {
    constexpr size_t kAt = 4;
    le32 expected;
    std::memcpy(&expected, &bytes[kAt], sizeof(expected));
    std::memset(&bytes[kAt], 0, sizeof(expected));
    return crc32c(bytes) == expected;
}

template <class T>
T take(std::span<const std::byte> bytes, size_t at) {
    T value{};
    std::memcpy(&value, &bytes[at], sizeof(value));
    return value;
}

class VhdxOpener {
public:
    VhdxOpener(std::unique_ptr<ImageFile> file, const std::string& name)
        : file_(std::move(file)), name_(name) {}

    Result<std::unique_ptr<DiskImage>> open() {
        TRY(find_header());
        TRY(check_log());
        TRY(find_regions());
        TRY(read_metadata());
        TRY(read_block_table());
        return std::make_unique<BlockMapImage>(std::move(file_), name_, std::move(map_));
    }

private:
    using Bytes = std::vector<std::byte>;

    tl::unexpected<Error> bad(std::string_view why) const { return malformed(name_, why); }

    Result<Bytes> read(uint64_t offset, uint64_t length) {
        if (!lies_in(*file_, offset, length)) return bad("a table lies behind the end of the file");
        Bytes bytes(length);
        TRY(file_->read_bytes(offset, bytes));
        return bytes;
    }

    // 2.2.2: of the two, the one that was written last and is whole.
    Result<void> find_header() {
        TRY_ASSIGN(signature, read(0, sizeof(uint64_t)));
        if (take<le64>(signature, 0) != kFileSignature) return bad("it is no VHDX image");
        bool found = false;
        for (const uint64_t offset : kHeaderOffsets) {
            TRY_ASSIGN(bytes, read(offset, kHeaderBytes));
            const auto header = take<Header>(bytes, 0);
            if (header.signature != kHeaderSignature || !has_right_crc(bytes)) continue;
            if (found && header.sequence <= header_.sequence) continue;
            header_ = header;
            found = true;
        }
        if (!found) return bad("both of its headers are damaged");
        if (header_.version != kVersion) {
            return unsupported_image(name_, "it is of a version that is not known",
                                     "copy it with qemu-img convert");
        }
        return {};
    }

    // 2.3: an entry that belongs to the log that the header names was not brought to its place, as
    // far as we look.
    Result<void> check_log() {
        if (header_.log == Guid{}) return {};
        const uint64_t start = header_.log_offset;
        if (!lies_in(*file_, start, header_.log_length)) return bad("its log lies behind its end");
        for (uint64_t at = 0; at + kLogSector <= header_.log_length; at += kLogSector) {
            TRY_ASSIGN(bytes, read(start + at, sizeof(LogEntry)));
            const auto entry = take<LogEntry>(bytes, 0);
            if (entry.signature != kLogSignature || entry.log != header_.log) continue;
            return unsupported_image(
                name_, "it was not closed, and its log holds changes that are not in their places",
                "let who made it open it once, or qemu-img check -r all");
        }
        return {};
    }

    // 2.2.3: both tables say the same, if they are whole.
    Result<void> find_regions() {
        for (const uint64_t offset : kRegionOffsets) {
            TRY_ASSIGN(bytes, read(offset, kRegionBytes));
            const auto table = take<RegionTable>(bytes, 0);
            if (table.signature != kRegionSignature || !has_right_crc(bytes)) continue;
            if (table.entries > kMostRegions) return bad("its table of regions is too long");
            for (uint32_t i = 0; i < table.entries; ++i) {
                TRY(take_region(
                    take<RegionEntry>(bytes, sizeof(RegionTable) + i * sizeof(RegionEntry))));
            }
            if (bat_.length == 0 || metadata_.length == 0) return bad("it lacks a region");
            return {};
        }
        return bad("both of its tables of regions are damaged");
    }

    Result<void> take_region(const RegionEntry& entry) {
        if (entry.guid == kBatRegion) {
            bat_ = entry;
        } else if (entry.guid == kMetadataRegion) {
            metadata_ = entry;
        } else if ((entry.required & 1) != 0) {
            return unsupported_image(name_, "it has a region that is not known",
                                     "copy it with Convert-VHD");
        }
        if (!lies_in(*file_, entry.offset, entry.length))
            return bad("a region lies behind its end");
        return {};
    }

    // 2.6
    Result<void> read_metadata() {
        TRY_ASSIGN(bytes,
                   read(metadata_.offset, std::min<uint64_t>(metadata_.length, kRegionBytes)));
        if (bytes.size() < kRegionBytes) return bad("its metadata are too short");
        const auto table = take<MetadataTable>(bytes, 0);
        if (table.signature != kMetadataSignature || table.entries > kMostItems) {
            return bad("its metadata are damaged");
        }
        for (uint16_t i = 0; i < table.entries; ++i) {
            TRY(take_item(
                take<MetadataEntry>(bytes, sizeof(MetadataTable) + i * sizeof(MetadataEntry))));
        }
        return check_metadata();
    }

    template <class T>
    Result<void> take_value(const MetadataEntry& entry, T& value) {
        const uint64_t end = uint64_t{entry.offset} + sizeof(T);
        if (entry.length < sizeof(T) || end > metadata_.length) return bad("an item is too short");
        TRY_ASSIGN(bytes, read(metadata_.offset + entry.offset, sizeof(T)));
        value = take<T>(bytes, 0);
        return {};
    }

    Result<void> take_item(const MetadataEntry& entry) {
        if (entry.item == kFileParameters) return take_value(entry, parameters_);
        if (entry.item == kDiskSize) return take_value(entry, disk_size_);
        if (entry.item == kLogicalSectorSize) return take_value(entry, sector_size_);
        const bool known = entry.item == kPhysicalSectorSize || entry.item == kDiskId;
        if (known || (entry.flags & kItemRequired) == 0) return {};
        // 2.6.2.6: a parent locator is one of these.
        return unsupported_image(name_, "it has an item that is not known, or stands on another",
                                 "make one image of both with Merge-VHD or Convert-VHD");
    }

    // 2.6.2.1, 2.6.2.2 and 2.6.2.4
    Result<void> check_metadata() {
        if ((parameters_.flags & kHasParent) != 0) {
            return unsupported_image(name_, "it holds only what differs from another image",
                                     "make one image of both with Merge-VHD");
        }
        const uint32_t block = parameters_.block_size;
        if (!is_block_size(block) || block < (1U << 20)) {
            return bad(fmt::format("its blocks are of {} bytes", block));
        }
        if (sector_size_ != 512 && sector_size_ != 4096) {
            return bad(fmt::format("its sectors are of {} bytes", uint32_t{sector_size_}));
        }
        if (disk_size_ == 0 || disk_size_ > kMostVhdxBytes || disk_size_ % sector_size_ != 0) {
            return bad(fmt::format("a disk cannot be of {} bytes", uint64_t{disk_size_}));
        }
        map_.disk_size = disk_size_;
        map_.block_size = block;
        return {};
    }

    // 2.5: behind the entries of each chunk of blocks comes one for their bitmap.
    Result<void> read_block_table() {
        const uint64_t in_chunk = kSectorsInChunk * sector_size_ / map_.block_size;
        const uint64_t blocks = map_.blocks();
        const uint64_t entries = blocks + (blocks - 1) / in_chunk;
        if (blocks > kMostBlocks || entries * sizeof(le64) > bat_.length) {
            return bad("its table of blocks does not fit its size");
        }
        std::vector<le64> table(entries);
        TRY(file_->read_bytes(bat_.offset, std::as_writable_bytes(std::span(table))));
        map_.places.reserve(blocks);
        for (uint64_t block = 0; block < blocks; ++block)
            TRY(take_block(table[block + block / in_chunk]));
        return {};
    }

    Result<void> take_block(uint64_t entry) {
        const uint64_t state = entry & kBatStateMask;
        const uint64_t place = entry & kBatOffsetMask;
        if (state == kBlockPartlyPresent) return bad("a block is shared with a parent it lacks");
        const bool present = state == kBlockPresent;
        if (present && place >= file_->size())
            return bad("a block lies behind the end of the file");
        map_.places.push_back(present ? place : BlockMap::kNowhere);
        return {};
    }

    std::unique_ptr<ImageFile> file_;
    const std::string& name_;
    Header header_{};
    RegionEntry bat_{};
    RegionEntry metadata_{};
    FileParameters parameters_{};
    le64 disk_size_;
    le32 sector_size_;
    BlockMap map_;
};

}  // namespace

Result<std::unique_ptr<DiskImage>> open_vhdx(std::unique_ptr<ImageFile> file,
                                             const std::string& name) {
    return VhdxOpener(std::move(file), name).open();
}

}  // namespace banyan
