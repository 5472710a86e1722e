#include "backends/block/foreign/vhd_image.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"
#include "support/be.hpp"

namespace banyan {

namespace {

// "Virtual Hard Disk Image Format Specification", version 1.0: Hard Disk Footer Format, Dynamic
// Disk Header Format, Block Allocation Table and Data Blocks.
constexpr std::string_view kVhdFooterCookie = "conectix";
constexpr std::string_view kVhdHeaderCookie = "cxsparse";
constexpr uint32_t kVhdFixed = 2;
constexpr uint32_t kVhdDynamic = 3;
constexpr uint32_t kVhdDifferencing = 4;
constexpr uint32_t kVhdUnused = 0xFFFFFFFF;
constexpr uint64_t kVhdSector = 512;
constexpr uint64_t kMostVhdBytes = uint64_t{2040} << 30;

struct VhdFooter {
    std::array<char, 8> cookie;
    be32 features;
    be32 version;
    be64 data_offset;
    be32 time_stamp;
    std::array<char, 4> creator;
    be32 creator_version;
    be32 creator_host;
    be64 original_size;
    be64 current_size;
    be16 cylinders;
    uint8_t heads;
    uint8_t sectors;
    be32 disk_type;
    be32 checksum;
    std::array<uint8_t, 16> unique_id;
    uint8_t saved_state;
    std::array<uint8_t, 427> reserved;
};
static_assert(sizeof(VhdFooter) == 512 && offsetof(VhdFooter, checksum) == 64);

struct VhdDynamicHeader {
    std::array<char, 8> cookie;
    be64 data_offset;
    be64 table_offset;
    be32 version;
    be32 table_entries;
    be32 block_size;
    be32 checksum;
    std::array<uint8_t, 984> parent;
};
static_assert(sizeof(VhdDynamicHeader) == 1024 && offsetof(VhdDynamicHeader, checksum) == 36);

// The sum of all bytes but those of the checksum, inverted.
template <class T>
bool has_right_checksum(const T& what) {
    uint32_t sum = 0;
    for (const std::byte byte : std::as_bytes(std::span(&what, 1)))
        sum += static_cast<uint32_t>(byte);
    for (const std::byte byte : std::as_bytes(std::span(&what.checksum, 1)))
        sum -= static_cast<uint32_t>(byte);
    return ~sum == what.checksum;
}

bool is(const std::array<char, 8>& cookie, std::string_view text) {
    return std::string_view(cookie.data(), cookie.size()) == text;
}

bool is_footer(const VhdFooter& footer) {
    return is(footer.cookie, kVhdFooterCookie) && has_right_checksum(footer);
}

template <class T>
Result<T> read_struct(ImageFile& file, uint64_t offset) {
    T value{};
    TRY(file.read_bytes(offset, std::as_writable_bytes(std::span(&value, 1))));
    return value;
}

// Virtual PC makes a disk as large as its geometry says, and others as the size says (QEMU's
// block/vpc.c, vpc_open()): what their guests saw must stay as it was.
uint64_t vhd_size(const VhdFooter& footer) {
    constexpr uint64_t kMostSectors = uint64_t{65535} * 16 * 255;
    const std::string_view creator(footer.creator.data(), footer.creator.size());
    const uint64_t sectors = uint64_t{footer.cylinders} * footer.heads * footer.sectors;
    const bool by_geometry = (creator == "vpc " || creator == "qemu") && sectors != kMostSectors;
    return by_geometry && sectors != 0 ? sectors * kVhdSector : uint64_t{footer.current_size};
}

class VhdOpener {
public:
    VhdOpener(std::unique_ptr<ImageFile> file, const std::string& name)
        : file_(std::move(file)), name_(name) {}

    Result<std::unique_ptr<DiskImage>> open() {
        TRY_ASSIGN(footer, find_footer());
        map_.disk_size = vhd_size(footer);
        if (map_.disk_size == 0 || map_.disk_size > kMostVhdBytes || map_.disk_size % 512 != 0) {
            return malformed(name_, fmt::format("a disk cannot be of {} bytes", map_.disk_size));
        }
        switch (footer.disk_type) {
            case kVhdFixed: TRY(map_fixed()); break;
            case kVhdDynamic: TRY(map_dynamic(footer)); break;
            case kVhdDifferencing:
                return unsupported_image(name_, "it holds only what differs from another image",
                                         "merge both in Hyper-V or with vhd-util coalesce");
            default: return malformed(name_, "it is of no type that is known");
        }
        return std::make_unique<BlockMapImage>(std::move(file_), name_, std::move(map_));
    }

private:
    // At the end; a dynamic image has a copy at the start, for when the end was lost.
    Result<VhdFooter> find_footer() {
        const uint64_t size = file_->size();
        if (size >= kVhdSector) {
            TRY_ASSIGN(last, read_struct<VhdFooter>(*file_, size - kVhdSector));
            if (is_footer(last)) return last;
        }
        TRY_ASSIGN(copy, read_struct<VhdFooter>(*file_, 0));
        if (is_footer(copy) && copy.disk_type != kVhdFixed) return copy;
        return malformed(name_, "it has no footer of a VHD image, or a damaged one");
    }

    // The disk from the start on, as one block.
    Result<void> map_fixed() {
        if (!lies_in(*file_, 0, map_.disk_size)) {
            return malformed(name_, "the file ends before its disk does");
        }
        map_.block_size = kMostBlock;
        for (uint64_t block = 0; block < map_.blocks(); ++block)
            map_.places.push_back(block * map_.block_size);
        return {};
    }

    Result<void> map_dynamic(const VhdFooter& footer) {
        if (!lies_in(*file_, footer.data_offset, sizeof(VhdDynamicHeader))) {
            return malformed(name_, "its header lies behind the end of the file");
        }
        TRY_ASSIGN(header, read_struct<VhdDynamicHeader>(*file_, footer.data_offset));
        if (!is(header.cookie, kVhdHeaderCookie) || !has_right_checksum(header)) {
            return malformed(name_, "its header is damaged");
        }
        map_.block_size = header.block_size;
        if (!is_block_size(map_.block_size)) {
            return malformed(name_, fmt::format("its blocks are of {} bytes", map_.block_size));
        }
        const uint64_t blocks = map_.blocks();
        if (blocks > header.table_entries || blocks > kMostBlocks ||
            !lies_in(*file_, header.table_offset, blocks * sizeof(be32))) {
            return malformed(name_, "its table of blocks does not fit its size");
        }
        std::vector<be32> table(blocks);
        TRY(file_->read_bytes(header.table_offset, std::as_writable_bytes(std::span(table))));
        return take_places(table);
    }

    // A block begins with a bitmap of its sectors, in whole sectors. Those that were never written
    // hold zeroes: the bitmap matters for differencing images only.
    Result<void> take_places(const std::vector<be32>& table) {
        const uint64_t bits = map_.block_size / kVhdSector;
        const uint64_t bitmap = (bits / 8 + kVhdSector - 1) / kVhdSector * kVhdSector;
        map_.places.reserve(table.size());
        for (const uint32_t entry : table) {
            const bool nowhere = entry == kVhdUnused;
            const uint64_t place = entry * kVhdSector + (bits < 8 ? kVhdSector : bitmap);
            if (!nowhere && place >= file_->size()) {
                return malformed(name_, "a block lies behind the end of the file");
            }
            map_.places.push_back(nowhere ? BlockMap::kNowhere : place);
        }
        return {};
    }

    std::unique_ptr<ImageFile> file_;
    const std::string& name_;
    BlockMap map_;
};

}  // namespace

Result<std::unique_ptr<DiskImage>> open_vhd(std::unique_ptr<ImageFile> file,
                                            const std::string& name) {
    return VhdOpener(std::move(file), name).open();
}

}  // namespace banyan
