// The saved state that all virtio devices share.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "devices/virtio/virtqueue_state.hpp"

namespace banyan {

struct VirtioDeviceStateV1 {
    static constexpr std::string_view kKind = "virtio";
    static constexpr uint32_t kVersion = 1;
    uint64_t driver_features = 0;
    uint8_t status = 0;
    uint8_t config_generation = 0;
    std::vector<VirtqueueStateV1> queues;
};

template <class Visitor>
void visit_fields(Visitor& v, VirtioDeviceStateV1& s) {
    auto& [driver_features, status, config_generation, queues] = s;
    v.field(1, driver_features);
    v.field(2, status);
    v.field(3, config_generation);
    v.field(4, queues);
}

}  // namespace banyan
