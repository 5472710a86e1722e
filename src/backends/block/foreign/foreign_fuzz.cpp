// A hostile image of a format that is only read: either any bytes, or what a sound one begins with
// and some bytes of it replaced. It is opened and read; whatever it says, nothing may crash, take
// the host's memory or change the file.
#include "backends/block/foreign/testing/sound_images.hpp"
#include "backends/block/foreign/vdi_image.hpp"
#include "backends/block/foreign/vhd_image.hpp"
#include "backends/block/foreign/vhdx_image.hpp"
#include "backends/block/foreign/vmdk_image.hpp"
#include "backends/block/image/testing/fuzz_input.hpp"
#include "support/assert.hpp"

namespace banyan {
namespace {

using Bytes = MemoryFile::Bytes;
constexpr uint64_t kMostRead = 64 << 10;

// Of all kinds; their headers' checksums are made right again after they were changed.
constexpr size_t kKinds = 7;

Bytes sound_image(size_t kind) {
    switch (kind) {
        case 0: return make_vdi();
        case 1: return make_vhd(VhdKind::fixed);
        case 2: return make_vhd(VhdKind::dynamic);
        case 3: return make_vhdx();
        case 4: return make_vmdk(VmdkKind::sparse);
        case 5: return make_vmdk(VmdkKind::stream);
        default: return make_vmdk(VmdkKind::flat);
    }
}

Bytes make_image(FuzzInput& input, size_t kind) {
    if (input.number(1) < 16) return input.rest();
    Bytes image = sound_image(kind);
    for (uint64_t patches = input.number(1) % 16; patches > 0; --patches) {
        const uint64_t at = input.number(3) % image.size();
        image[at] = static_cast<std::byte>(input.number(1));
    }
    const bool has_checksums = kind >= 1 && kind <= 3;
    if (has_checksums && input.number(1) % 2 == 0) mend_checksums(kind == 3, image);
    return image;
}

Result<std::unique_ptr<DiskImage>> open(size_t kind, std::unique_ptr<ImageFile> file) {
    const std::string name = "the image";
    switch (kind) {
        case 0: return open_vdi(std::move(file), name);
        case 1:
        case 2: return open_vhd(std::move(file), name);
        case 3: return open_vhdx(std::move(file), name);
        default:
            return open_vmdk(std::move(file), name, [](const std::string& extent) {
                BANYAN_ASSERT(extent.find('/') == std::string::npos);
                return Result<std::unique_ptr<ImageFile>>(
                    std::make_unique<MemoryFile>(Bytes(kFlatBytes)));
            });
    }
}

void read_some(DiskImage& disk, FuzzInput& input) {
    const uint64_t size = disk.size();
    Bytes data(std::min(size, kMostRead));
    while (!input.empty()) {
        const uint64_t at = input.number(5) * 512 % size;
        const uint64_t length = std::min<uint64_t>(data.size(), size - at);
        (void)disk.read(at, OneBuffer(std::span(data).first(length)));
        const auto stretch = disk.stretch(at, size - at);
        if (stretch) BANYAN_ASSERT(stretch->length > 0 && stretch->length <= size - at);
        DirectPlaces places;
        const OneBuffer bytes(std::span(data).first(length));
        if (disk.begin_direct(DirectKind::read, at, length, bytes, places)) disk.end_direct(places);
        BANYAN_ASSERT(!disk.write(at, bytes));
    }
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzInput input(data, size);
    const size_t kind = input.number(1) % kKinds;
    MemoryFile file(make_image(input, kind));
    const Bytes before = file.bytes();
    auto disk = open(kind, std::make_unique<BorrowedFile>(file));
    if (disk) read_some(**disk, input);
    BANYAN_ASSERT(file.bytes() == before);
    return 0;
}
