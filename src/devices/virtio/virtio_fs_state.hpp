// The saved state of the file system device, beside what all virtio devices share.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

struct VirtioFsStateV1 {
    static constexpr std::string_view kKind = "virtio-fs";
    static constexpr uint32_t kVersion = 1;
    bool mounted = false;  // the guest held references to files, which are not saved
};

template <class Visitor>
void visit_fields(Visitor& v, VirtioFsStateV1& s) {
    auto& [mounted] = s;
    v.field(1, mounted);
}

}  // namespace banyan
