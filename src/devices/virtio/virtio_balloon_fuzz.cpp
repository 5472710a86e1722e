// The balloon with a driver that offers garbage: page numbers from anywhere, its own rings among
// them.
#include "devices/virtio/testing/virtio_fuzz.hpp"
#include "devices/virtio/virtio_balloon.hpp"
#include "vm/testing/fake_reclaimer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    VirtioBench bench(VirtioFuzz::kRamSize);
    FakeReclaimer reclaimer(bench.ram.memory());
    auto owned = std::make_unique<VirtioBalloon>(
        VirtioFuzz::kRamSize, VirtioBalloonWiring{bench.ram.memory(), reclaimer});
    VirtioBalloon& balloon = *owned;
    VirtioFuzz fuzz(bench, std::move(owned), [&](FuzzBytes& rest) {
        reclaimer.taken.clear();
        if ((rest.u8() & 1) != 0) return balloon.set_target(rest.u32());
        (void)balloon.statistics();
    });
    fuzz.run(bytes);
    return 0;
}
