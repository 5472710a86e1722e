// The entropy device with a driver that offers garbage: what comes out may land on the rings.
#include <cstring>

#include "devices/virtio/testing/virtio_fuzz.hpp"
#include "devices/virtio/virtio_rng.hpp"

namespace {

class SmallEntropy final : public banyan::EntropySource {
public:
    // Small numbers, so that they make sense as indices and flags.
    void fill(std::span<std::byte> bytes) override {
        if (!bytes.empty()) std::memset(bytes.data(), ++next_ & 0x0f, bytes.size());
    }

private:
    int next_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    VirtioBench bench(VirtioFuzz::kRamSize);
    SmallEntropy entropy;
    auto rng = std::make_unique<VirtioRng>(VirtioRngWiring{bench.ram.memory(), entropy});
    VirtioFuzz fuzz(bench, std::move(rng), [](FuzzBytes&) {});
    fuzz.run(bytes);
    return 0;
}
