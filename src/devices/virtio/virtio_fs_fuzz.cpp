// A shared directory whose driver offers garbage, and that takes its time.
#include "devices/virtio/testing/fake_share.hpp"
#include "devices/virtio/testing/virtio_fuzz.hpp"
#include "devices/virtio/virtio_fs.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    VirtioBench bench(VirtioFuzz::kRamSize);
    FakeShare share;
    share.answer_with("an answer that is longer than most of the room there is");
    auto fs = std::make_unique<VirtioFs>("tag", VirtioFsWiring{bench.ram.memory(), share});
    VirtioFuzz fuzz(bench, std::move(fs), [&](FuzzBytes& rest) {
        switch (rest.u8() % 5) {
            case 0: return share.hold(true);
            case 1: return share.hold(false);
            case 2: return share.drain();
            default: (void)share.complete_one();
        }
    });
    fuzz.run(bytes);
    return 0;
}
