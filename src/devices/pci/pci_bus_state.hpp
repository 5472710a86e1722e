// The saved state of the host bridge, beside the configuration space of its function 00:00.0.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

struct PciHostStateV1 {
    static constexpr std::string_view kKind = "pci-host";
    static constexpr uint32_t kVersion = 1;
    uint32_t config_address = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, PciHostStateV1& s) {
    auto& [config_address] = s;
    v.field(1, config_address);
}

}  // namespace banyan
