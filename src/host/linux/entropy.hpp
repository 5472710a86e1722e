// Random bytes from the kernel's generator.
#pragma once

#include "vm/backend.hpp"

namespace banyan {

class HostEntropy final : public EntropySource {
public:
    void fill(std::span<std::byte> bytes) override;
};

}  // namespace banyan
