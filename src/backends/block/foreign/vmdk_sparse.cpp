#include "backends/block/foreign/vmdk_sparse.hpp"

#include <array>
#include <cstring>
#include <fmt/format.h>
#include <zlib.h>

#include "backends/block/foreign/vmdk_descriptor.hpp"
#include "backends/block/image/image_error.hpp"
#include "support/le.hpp"
#include "support/mutex.hpp"

namespace banyan {

namespace {

// "Virtual Disk Format 5.0", Hosted Sparse Extents, and Stream-Optimized Compressed Sparse Extents.
constexpr uint32_t kVmdkMagic = 0x564D444B;  // "KDMV"
constexpr uint32_t kFlagCompressed = 1U << 16;
constexpr uint32_t kFlagZeroGrains = 1U << 2;
constexpr uint64_t kGrainDirectoryAtEnd = ~uint64_t{0};
constexpr uint16_t kDeflate = 1;
constexpr uint64_t kVmdkSector = 512;
constexpr uint32_t kMostTableEntries = 512;
constexpr uint64_t kMostGrainSectors = 2048;  // 1 MiB
constexpr uint64_t kMostTables = uint64_t{1} << 20;
constexpr uint64_t kFooterFromEnd = 1024;  // behind it is the marker of the stream's end

struct VmdkHeader {
    le32 magic;
    le32 version;
    le32 flags;
    le64 capacity;
    le64 grain_sectors;
    le64 descriptor_offset;
    le64 descriptor_sectors;
    le32 entries_in_table;
    le64 redundant_directory;
    le64 directory;
    le64 overhead;
    uint8_t unclean;
    std::array<char, 4> line_ends;
    le16 compression;
    std::array<uint8_t, 433> padding;
};
static_assert(sizeof(VmdkHeader) == 512 && offsetof(VmdkHeader, compression) == 77);

// Before each compressed grain.
struct GrainMarker {
    le64 sector;
    le32 size;
};
static_assert(sizeof(GrainMarker) == 12);

using Bytes = std::vector<std::byte>;

// RFC 1950. False: damaged.
bool inflate_grain(std::span<const std::byte> data, std::span<std::byte> grain) {
    uLongf length = grain.size();
    // SAFETY: zlib's bytes are unsigned char.
    const int result = ::uncompress(reinterpret_cast<Bytef*>(grain.data()), &length,
                                    reinterpret_cast<const Bytef*>(data.data()), data.size());
    if (result != Z_OK) return false;
    // The last grain of a disk may be short.
    std::memset(grain.data() + length, 0, grain.size() - length);
    return true;
}

class VmdkSparse final : public ReadOnlyImage {
public:
    VmdkSparse(std::unique_ptr<ImageFile> file, const std::string& name, const VmdkHeader& header,
               std::vector<le32> directory)
        : ReadOnlyImage(name),
          file_(std::move(file)),
          size_(header.capacity * kVmdkSector),
          grain_size_(header.grain_sectors * kVmdkSector),
          entries_in_table_(header.entries_in_table),
          compressed_((header.flags & kFlagCompressed) != 0),
          zero_grains_((header.flags & kFlagZeroGrains) != 0),
          directory_(std::move(directory)) {}

    uint64_t size() const override { return size_; }

    Result<void> read(uint64_t offset, const Scatter& to) override {
        for (uint64_t done = 0; done < to.size();) {
            const uint64_t at = offset + done;
            const uint64_t count = std::min(grain_size_ - at % grain_size_, to.size() - done);
            TRY(read_in_grain(at, to.part(done, count)));
            done += count;
        }
        return {};
    }

    Result<Stretch> stretch(uint64_t offset, uint64_t length) override {
        const auto left = [&](uint64_t done) { return std::min(done, length); };
        // All grains of a table that is not there.
        const uint64_t of_table = grain_size_ * entries_in_table_;
        if (directory_[offset / of_table] == 0) {
            return Stretch{true, left(of_table - offset % of_table)};
        }
        TRY_ASSIGN(grain, grain_at(offset / grain_size_));
        return Stretch{grain == 0, left(grain_size_ - offset % grain_size_)};
    }

private:
    struct Table {
        uint64_t index = ~uint64_t{0};
        std::vector<le32> entries;
    };

    // In which sector; 0: zeroes.
    Result<uint64_t> grain_at(uint64_t grain) {
        const uint64_t index = grain / entries_in_table_;
        const uint64_t place = directory_[index];
        if (place == 0) return 0;
        const MutexLock lock(mutex_);
        Table& table = tables_[index % tables_.size()];
        if (table.index != index) {
            table.index = ~uint64_t{0};
            table.entries.resize(entries_in_table_);
            TRY(file_->read_bytes(place * kVmdkSector,
                                  std::as_writable_bytes(std::span(table.entries))));
            table.index = index;
        }
        const uint64_t sector = table.entries[grain % entries_in_table_];
        return zero_grains_ && sector == 1 ? 0 : sector;
    }

    Result<void> read_in_grain(uint64_t offset, const Scatter& to) {
        TRY_ASSIGN(sector, grain_at(offset / grain_size_));
        const uint64_t place = sector * kVmdkSector;
        if (sector == 0) {
            to.fill_with_zeroes();
            return {};
        }
        if (place >= file_->size()) return malformed(name(), "a grain lies behind its end");
        if (!compressed_) return file_->read(place + offset % grain_size_, to);
        return read_compressed(place, offset % grain_size_, to);
    }

    Result<void> read_compressed(uint64_t place, uint64_t in_grain, const Scatter& to) {
        const MutexLock lock(mutex_);
        if (inflated_place_ != place) {
            inflated_place_ = 0;
            TRY(inflate(place));
            inflated_place_ = place;
        }
        to.copy_from(std::span(inflated_).subspan(in_grain, to.size()));
        return {};
    }

    Result<void> inflate(uint64_t place) REQUIRES(mutex_) {
        GrainMarker marker{};
        TRY(file_->read_bytes(place, std::as_writable_bytes(std::span(&marker, 1))));
        const uint64_t start = place + sizeof(marker);
        // What cannot be made smaller grows a little.
        if (marker.size > 2 * grain_size_ || !lies_in(*file_, start, marker.size)) {
            return malformed(name(), "a compressed grain is too long");
        }
        Bytes data(marker.size);
        TRY(file_->read_bytes(start, data));
        inflated_.resize(grain_size_);
        if (inflate_grain(data, inflated_)) return {};
        return malformed(name(), "a compressed grain cannot be decompressed");
    }

    const std::unique_ptr<ImageFile> file_;
    const uint64_t size_;
    const uint64_t grain_size_;
    const uint64_t entries_in_table_;
    const bool compressed_;
    const bool zero_grains_;
    const std::vector<le32> directory_;

    Mutex mutex_;
    std::array<Table, 32> tables_
        GUARDED_BY(mutex_);              // the last used of those with equal remainders
    Bytes inflated_ GUARDED_BY(mutex_);  // the last, for those who read on
    uint64_t inflated_place_ GUARDED_BY(mutex_) = 0;  // 0: none
};

class SparseOpener {
public:
    SparseOpener(std::unique_ptr<ImageFile>& file, const std::string& name)
        : file_(file), name_(name) {}

    Result<std::unique_ptr<DiskImage>> open() {
        TRY(read_header(0));
        if (header_.magic != kVmdkMagic) return std::unique_ptr<DiskImage>();
        if (header_.directory == kGrainDirectoryAtEnd) TRY(read_footer());
        TRY(check());
        TRY(check_descriptor());
        TRY_ASSIGN(directory, read_directory());
        return std::make_unique<VmdkSparse>(std::move(file_), name_, header_, std::move(directory));
    }

private:
    Result<void> read_header(uint64_t offset) {
        return file_->read_bytes(offset, std::as_writable_bytes(std::span(&header_, 1)));
    }

    // A stream knows its directory only when all has been written.
    Result<void> read_footer() {
        if (file_->size() < kFooterFromEnd) return malformed(name_, "it has no footer");
        TRY(read_header(file_->size() - kFooterFromEnd));
        if (header_.magic == kVmdkMagic && header_.directory != kGrainDirectoryAtEnd) return {};
        return malformed(name_, "it has no footer: the stream was cut off");
    }

    Result<void> check() const {
        if (header_.version < 1 || header_.version > 3) {
            return unsupported_image(name_,
                                     fmt::format("it is of version {}", uint32_t{header_.version}),
                                     "copy it with qemu-img convert");
        }
        const uint64_t grain = header_.grain_sectors;
        const uint32_t entries = header_.entries_in_table;
        if (!is_block_size(grain * kVmdkSector) || grain > kMostGrainSectors || entries == 0 ||
            entries > kMostTableEntries) {
            return malformed(name_, "the sizes of its grains or tables make no sense");
        }
        const bool compressed = (header_.flags & kFlagCompressed) != 0;
        if (compressed && header_.compression != kDeflate) {
            return unsupported_image(name_, "it is compressed in a way that is not known",
                                     "copy it with qemu-img convert");
        }
        if (header_.capacity == 0 || header_.capacity > kMostTables * entries * grain) {
            return malformed(name_, "its size makes no sense");
        }
        return {};
    }

    // It says whether the disk stands on another.
    Result<void> check_descriptor() const {
        const uint64_t length =
            std::min<uint64_t>(header_.descriptor_sectors, kMostDescriptorBytes / kVmdkSector) *
            kVmdkSector;
        if (header_.descriptor_offset == 0 || length == 0) return {};
        if (header_.descriptor_offset > file_->size() / kVmdkSector) {
            return malformed(name_, "its descriptor lies behind its end");
        }
        std::string text(length, '\0');
        TRY(file_->read_bytes(header_.descriptor_offset * kVmdkSector,
                              std::as_writable_bytes(std::span(text))));
        TRY_ASSIGN(descriptor, parse_vmdk_descriptor(text, name_));
        if (descriptor.extents.size() > 1) {
            return unsupported_image(name_, "it is one of several files of a disk",
                                     "copy the disk with qemu-img convert");
        }
        return {};
    }

    Result<std::vector<le32>> read_directory() const {
        const uint64_t grains =
            (header_.capacity + header_.grain_sectors - 1) / header_.grain_sectors;
        const uint64_t tables = (grains + header_.entries_in_table - 1) / header_.entries_in_table;
        const uint64_t sector = header_.directory;
        if (sector > file_->size() / kVmdkSector ||
            !lies_in(*file_, sector * kVmdkSector, tables * sizeof(le32))) {
            return malformed(name_, "its directory of grains lies behind its end");
        }
        std::vector<le32> directory(tables);
        TRY(file_->read_bytes(sector * kVmdkSector, std::as_writable_bytes(std::span(directory))));
        for (const uint64_t table : directory) {
            if (table * kVmdkSector >= file_->size()) {
                return malformed(name_, "a table of grains lies behind its end");
            }
        }
        return directory;
    }

    std::unique_ptr<ImageFile>& file_;
    const std::string& name_;
    VmdkHeader header_{};
};

}  // namespace

Result<std::unique_ptr<DiskImage>> open_vmdk_sparse(std::unique_ptr<ImageFile>& file,
                                                    const std::string& name) {
    return SparseOpener(file, name).open();
}

}  // namespace banyan
