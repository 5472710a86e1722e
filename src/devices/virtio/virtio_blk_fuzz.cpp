// A disk whose driver offers garbage, and whose backend takes its time and fails now and then.
#include "devices/virtio/testing/virtio_fuzz.hpp"
#include "devices/virtio/virtio_blk.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    VirtioBench bench(VirtioFuzz::kRamSize);
    MemoryBlock disk(64 * 1024, (bytes.u8() & 7) == 0);
    auto blk = std::make_unique<VirtioBlk>(VirtioBlkConfig{.queues = 1U + bytes.u8() % 3U},
                                           VirtioBlkWiring{bench.ram.memory(), disk});
    VirtioFuzz fuzz(bench, std::move(blk), [&](FuzzBytes& rest) {
        switch (rest.u8() % 6) {
            case 0: return disk.hold(true);
            case 1: return disk.hold(false);
            case 2: return disk.fail_with(static_cast<BlockStatus>(rest.u8() % 3));
            case 3: return disk.drain();
            default: (void)disk.complete_one();
        }
    });
    fuzz.run(bytes);
    return 0;
}
