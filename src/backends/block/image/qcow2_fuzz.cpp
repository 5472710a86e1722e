// A hostile image: either any bytes, or a sound one with some bytes of it replaced. It is opened,
// read, written and closed; whatever it says, nothing may crash, and an image that is refused must
// stay as it was.
#include "backends/block/image/borrowed_file.hpp"
#include "backends/block/image/qcow2_check.hpp"
#include "backends/block/image/qcow2_create.hpp"
#include "backends/block/image/testing/fuzz_input.hpp"
#include "support/assert.hpp"

namespace banyan {
namespace {

using Bytes = MemoryFile::Bytes;
constexpr uint64_t kMostBytes = 4 << 20;  // of a file, and of what is read at once
constexpr uint64_t kLargestRequest = 64 << 10;

Result<std::unique_ptr<Qcow2Image>> open(MemoryFile& file, bool writable) {
    return Qcow2Image::open(std::make_unique<BorrowedFile>(file),
                            {.name = "the image", .writable = writable});
}

// With data, zeroes and compressed clusters, not closed in one of two cases.
Bytes sound_image(bool lazy) {
    MemoryFile file;
    BANYAN_ASSERT(create_qcow2(
        file, {.size = 1 << 20, .cluster_bits = 9, .lazy_refcounts = lazy, .backing_file = "base"},
        "the image"));
    auto image = open(file, true);
    BANYAN_ASSERT(image);
    Bytes data(20'000, std::byte{'x'});
    BANYAN_ASSERT((*image)->write(3000, OneBuffer(data)));
    BANYAN_ASSERT((*image)->write_compressed(1 << 19, std::span(data).first(512)));
    BANYAN_ASSERT((*image)->write_zeroes(8192, 4096));
    BANYAN_ASSERT((*image)->flush());
    if (!lazy) BANYAN_ASSERT((*image)->close());
    return file.bytes();
}

Bytes make_image(FuzzInput& input) {
    static const std::array<Bytes, 2> kSound{sound_image(false), sound_image(true)};
    const uint64_t choice = input.number(1);
    if (choice < 16) return input.rest();
    Bytes image = kSound[choice % 2];
    for (uint64_t patches = input.number(1) % 16; patches > 0; --patches) {
        const uint64_t at = input.number(2) % image.size();
        image[at] = static_cast<std::byte>(input.number(1));
    }
    return image;
}

void request(Qcow2Image& image, FuzzInput& input) {
    const uint64_t kind = input.number(1);
    if (image.size() == 0) return;
    const uint64_t offset = input.number(3) * 512 % image.size();
    const uint64_t length = std::min(input.number(1) * 512, image.size() - offset);
    Bytes data(std::min(length, kLargestRequest), std::byte{7});
    switch (kind % 8) {
        case 0:
        case 1: (void)image.read(offset, OneBuffer(data)); return;
        case 2:
        case 3: (void)image.write(offset, OneBuffer(data)); return;
        case 4: (void)image.write_zeroes(offset, length); return;
        case 5: (void)image.discard(offset, length); return;
        case 6: (void)image.resize(image.size() + length); return;
        default: (void)image.flush();
    }
}

void read_only(MemoryFile& file) {
    const Bytes before = file.bytes();
    if (auto image = open(file, false)) {
        Bytes data(std::min<uint64_t>((*image)->size(), kLargestRequest));
        (void)(*image)->read(0, OneBuffer(data));
        (void)check_qcow2(file, (*image)->header(), (*image)->snapshots(), "the image");
    }
    BANYAN_ASSERT(file.bytes() == before);
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzInput input(data, size);
    MemoryFile file(make_image(input));
    file.limit_to(kMostBytes);
    read_only(file);
    auto image = open(file, true);
    if (!image) return 0;
    while (!input.empty())
        request(**image, input);
    (void)(*image)->close();
    return 0;
}
