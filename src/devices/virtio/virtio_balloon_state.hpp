// The saved state of the memory balloon, beside what all virtio devices share.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

struct VirtioBalloonStateV1 {
    static constexpr std::string_view kKind = "virtio-balloon";
    static constexpr uint32_t kVersion = 1;
    uint32_t num_pages = 0;
    uint32_t actual = 0;
    uint32_t poison_val = 0;
    uint64_t inflated = 0;  // bytes of the chain that is being worked on
};

template <class Visitor>
void visit_fields(Visitor& v, VirtioBalloonStateV1& s) {
    auto& [num_pages, actual, poison_val, inflated] = s;
    v.field(1, num_pages);
    v.field(2, actual);
    v.field(3, poison_val);
    v.field(4, inflated);
}

}  // namespace banyan
