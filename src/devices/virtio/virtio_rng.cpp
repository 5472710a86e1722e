#include "devices/virtio/virtio_rng.hpp"

#include <algorithm>
#include <array>

namespace banyan {

namespace {

constexpr std::array<uint16_t, 1> kRngQueueSizes{64};
// 5.4.6.1: the device need not fill the buffer. This bounds what a guest takes from the host at
// once.
constexpr uint64_t kMaxBytes = 4096;

constexpr VirtioIdentity kRngIdentity{
    .name = "virtio-rng",
    .device_type = virtio::kDeviceEntropy,
    .pci_class = 0x00ff00,
    .features = virtio::kFeatureInOrder,
};

}  // namespace

VirtioRng::VirtioRng(const VirtioRngWiring& wiring)
    : VirtioDevice(wiring.memory, kRngIdentity, kRngQueueSizes),
      entropy_(wiring.entropy),
      chain_(kRngQueueSizes[0]) {}

VirtioDevice::Step VirtioRng::step(unsigned index) {
    Virtqueue& requests = queue(index);
    switch (requests.peek(chain_)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    requests.pop();
    uint64_t filled = 0;
    for (const VirtioSegment& segment : chain_.writable()) {
        const uint64_t count = std::min<uint64_t>(segment.length, kMaxBytes - filled);
        if (count == 0) break;
        entropy_.fill(segment.bytes().first(count));
        memory().written(segment.gpa, count);
        filled += count;
    }
    requests.push_used(chain_.head(), static_cast<uint32_t>(filled));
    return Step::done;
}

}  // namespace banyan
