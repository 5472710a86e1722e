// Saved state of IoApic.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct IoApicStateV1 {
    static constexpr std::string_view kKind = "ioapic";
    static constexpr uint32_t kVersion = 1;

    uint8_t id = 0;
    uint8_t select = 0;
    uint32_t inputs = 0;  // the wires' levels
    std::array<uint64_t, 24> table{};
};

template <class Visitor>
void visit_fields(Visitor& v, IoApicStateV1& s) {
    auto& [id, select, inputs, table] = s;
    v.field(1, id);
    v.field(2, select);
    v.field(3, inputs);
    v.field(4, table);
}

}  // namespace banyan
