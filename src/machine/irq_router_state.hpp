// Saved state of IrqRouter.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace banyan {

struct IrqRouterStateV1 {
    static constexpr std::string_view kKind = "irq_router";
    static constexpr uint32_t kVersion = 1;

    std::vector<uint8_t>
        asserted;  // 0 or 1 for each source, in the order in which the board made them
};

template <class Visitor>
void visit_fields(Visitor& v, IrqRouterStateV1& s) {
    auto& [asserted] = s;
    v.field(1, asserted);
}

}  // namespace banyan
