// Saved state of FwCfg. The items are configuration and not in it.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

struct FwCfgStateV1 {
    static constexpr std::string_view kKind = "fw_cfg";
    static constexpr uint32_t kVersion = 1;

    uint16_t key = 0;
    uint32_t offset = 0;
    uint32_t dma_address_high = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, FwCfgStateV1& s) {
    auto& [key, offset, dma_address_high] = s;
    v.field(1, key);
    v.field(2, offset);
    v.field(3, dma_address_high);
}

}  // namespace banyan
