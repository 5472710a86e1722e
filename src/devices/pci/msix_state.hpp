// The saved state of the MSI-X table. Whether MSI-X is on is part of configuration space.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace banyan {

struct MsixStateV1 {
    static constexpr std::string_view kKind = "msix";
    static constexpr uint32_t kVersion = 1;
    std::vector<uint32_t> table;  // four words for each vector
    std::vector<uint64_t> pending;
};

template <class Visitor>
void visit_fields(Visitor& v, MsixStateV1& s) {
    auto& [table, pending] = s;
    v.field(1, table);
    v.field(2, pending);
}

}  // namespace banyan
