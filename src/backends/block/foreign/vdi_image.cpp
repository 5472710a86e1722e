#include "backends/block/foreign/vdi_image.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"
#include "support/le.hpp"

namespace banyan {

namespace {

// VirtualBox's VDICore.h: VDIPREHEADER and VDIHEADER1PLUS, with the names that QEMU's block/vdi.c
// gives the fields.
constexpr uint32_t kVdiSignature = 0xBEDA107F;
constexpr uint32_t kVdiVersion = 0x00010001;
constexpr uint32_t kVdiDynamic = 1;
constexpr uint32_t kVdiFixed = 2;
constexpr uint32_t kVdiLeastNowhere = 0xFFFFFFFE;  // discarded; all ones: never written

struct VdiHeader {
    std::array<char, 64> text;
    le32 signature;
    le32 version;
    le32 header_size;
    le32 image_type;
    le32 image_flags;
    std::array<char, 256> description;
    le32 offset_bmap;
    le32 offset_data;
    std::array<le32, 3> geometry;
    le32 sector_size;
    le32 unused;
    le64 disk_size;
    le32 block_size;
    le32 block_extra;
    le32 blocks_in_image;
    le32 blocks_allocated;
    std::array<uint8_t, 16> uuid_image;
    std::array<uint8_t, 16> uuid_last_snapshot;
    std::array<uint8_t, 16> uuid_link;
    std::array<uint8_t, 16> uuid_parent;
};
static_assert(offsetof(VdiHeader, offset_bmap) == 340);
static_assert(offsetof(VdiHeader, disk_size) == 368);
static_assert(sizeof(VdiHeader) == 456);

bool all_zero(const std::array<uint8_t, 16>& uuid) {
    return std::all_of(uuid.begin(), uuid.end(), [](uint8_t byte) { return byte == 0; });
}

Result<void> check_vdi(const VdiHeader& header, const std::string& name) {
    if (header.signature != kVdiSignature) return malformed(name, "it is no VDI image");
    if (header.version != kVdiVersion) {
        return unsupported_image(
            name, fmt::format("it is VDI of version {:#x}", uint32_t{header.version}),
            "copy it with VBoxManage clonemedium");
    }
    const uint32_t type = header.image_type;
    if ((type != kVdiDynamic && type != kVdiFixed) || !all_zero(header.uuid_link) ||
        !all_zero(header.uuid_parent)) {
        return unsupported_image(name, "it holds only what differs from another image",
                                 "make one of both with VBoxManage clonemedium");
    }
    const uint64_t block = header.block_size;
    if (!is_block_size(block) || header.block_extra != 0) {
        return malformed(name, fmt::format("its blocks are of {} and {} bytes", block,
                                           uint32_t{header.block_extra}));
    }
    const uint64_t size = header.disk_size;
    if (size == 0 || size % 512 != 0 || header.offset_data % 512 != 0) {
        return malformed(name, "its size or the place of its data is no multiple of 512");
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<DiskImage>> open_vdi(std::unique_ptr<ImageFile> file,
                                            const std::string& name) {
    VdiHeader header{};
    TRY(file->read_bytes(0, std::as_writable_bytes(std::span(&header, 1))));
    TRY(check_vdi(header, name));
    BlockMap map{header.disk_size, header.block_size, {}};
    const uint64_t blocks = map.disk_size / map.block_size + (map.disk_size % map.block_size != 0);
    if (blocks > header.blocks_in_image || blocks > kMostBlocks ||
        !lies_in(*file, header.offset_bmap, blocks * sizeof(le32))) {
        return malformed(name, "its table of blocks does not fit its size");
    }
    std::vector<le32> table(blocks);
    TRY(file->read_bytes(header.offset_bmap, std::as_writable_bytes(std::span(table))));
    map.places.reserve(blocks);
    for (const uint32_t entry : table) {
        const bool nowhere = entry >= kVdiLeastNowhere;
        const uint64_t place = header.offset_data + uint64_t{entry} * map.block_size;
        if (!nowhere && place >= file->size()) {
            return malformed(name, "a block lies behind the end of the file");
        }
        map.places.push_back(nowhere ? BlockMap::kNowhere : place);
    }
    return std::make_unique<BlockMapImage>(std::move(file), name, std::move(map));
}

}  // namespace banyan
