// Saved state of AcpiPm.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

struct AcpiPmStateV1 {
    static constexpr std::string_view kKind = "acpi_pm";
    static constexpr uint32_t kVersion = 1;

    uint16_t status = 0;
    uint16_t enable = 0;
    uint16_t control = 0;
    uint16_t gpe_status = 0;
    uint16_t gpe_enable = 0;
    uint8_t smi_command = 0;
    uint8_t smi_data = 0;
    uint8_t reset_control = 0;
    uint64_t seen_half = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, AcpiPmStateV1& s) {
    auto& [status, enable, control, gpe_status, gpe_enable, smi_command, smi_data, reset_control,
           seen_half] = s;
    v.field(1, status);
    v.field(2, enable);
    v.field(3, control);
    v.field(4, gpe_status);
    v.field(5, gpe_enable);
    v.field(6, smi_command);
    v.field(7, smi_data);
    v.field(8, reset_control);
    v.field(9, seen_half);
}

}  // namespace banyan
