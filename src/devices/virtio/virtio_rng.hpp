// VirtioRng: the entropy device (virtio 1.2, section 5.4).
#pragma once

#include "devices/virtio/virtio_device.hpp"
#include "vm/backend.hpp"

namespace banyan {

struct VirtioRngWiring {
    GuestMemory& memory;
    EntropySource& entropy;
};

class VirtioRng final : public VirtioDevice {
public:
    explicit VirtioRng(const VirtioRngWiring& wiring);

private:
    Step step(unsigned queue) override;

    // wiring
    EntropySource& entropy_;
    // bookkeeping
    DescriptorChain chain_;
};

}  // namespace banyan
