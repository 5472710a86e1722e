// Saved state of PciHotplug.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

struct PciHotplugStateV1 {
    static constexpr std::string_view kKind = "pci_hotplug";
    static constexpr uint32_t kVersion = 1;

    uint32_t up = 0;
    uint32_t down = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, PciHotplugStateV1& s) {
    auto& [up, down] = s;
    v.field(1, up);
    v.field(2, down);
}

}  // namespace banyan
