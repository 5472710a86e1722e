// The saved state of the socket device, beside what all virtio devices share. Streams end with the
// process that has their other ends; the guest is told of that.
#pragma once

#include <string_view>

namespace banyan {

struct VirtioVsockStateV1 {
    static constexpr std::string_view kKind = "virtio-vsock";
    static constexpr uint32_t kVersion = 1;
    bool had_streams = false;
};

template <class Visitor>
void visit_fields(Visitor& v, VirtioVsockStateV1& s) {
    auto& [had_streams] = s;
    v.field(1, had_streams);
}

}  // namespace banyan
