// The saved state of the PCI transport, beside configuration space, MSI-X table and the device
// itself.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace banyan {

struct VirtioPciStateV1 {
    static constexpr std::string_view kKind = "virtio-pci";
    static constexpr uint32_t kVersion = 1;
    uint32_t device_feature_select = 0;
    uint32_t driver_feature_select = 0;
    uint16_t config_vector = 0xffff;
    uint16_t queue_select = 0;
    std::vector<uint16_t> queue_vectors;
    uint8_t isr = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, VirtioPciStateV1& s) {
    auto& [device_feature_select, driver_feature_select, config_vector, queue_select, queue_vectors,
           isr] = s;
    v.field(1, device_feature_select);
    v.field(2, driver_feature_select);
    v.field(3, config_vector);
    v.field(4, queue_select);
    v.field(5, queue_vectors);
    v.field(6, isr);
}

}  // namespace banyan
