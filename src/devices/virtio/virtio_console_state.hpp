// The saved state of the console, beside what all virtio devices share.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

struct VirtioConsoleStateV1 {
    static constexpr std::string_view kKind = "virtio-console";
    static constexpr uint32_t kVersion = 1;
    uint16_t cols = 0;
    uint16_t rows = 0;
    uint64_t transmitted = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, VirtioConsoleStateV1& s) {
    auto& [cols, rows, transmitted] = s;
    v.field(1, cols);
    v.field(2, rows);
    v.field(3, transmitted);
}

}  // namespace banyan
