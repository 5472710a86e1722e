// The saved state of a PCI function's configuration space.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "devices/pci/pci_regs.hpp"

namespace banyan {

struct PciFunctionStateV1 {
    static constexpr std::string_view kKind = "pci-function";
    static constexpr uint32_t kVersion = 1;
    std::array<uint8_t, pci::kConfigSize> config{};
};

template <class Visitor>
void visit_fields(Visitor& v, PciFunctionStateV1& s) {
    auto& [config] = s;
    v.field(1, config);
}

}  // namespace banyan
