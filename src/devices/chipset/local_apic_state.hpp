// Saved state of LocalApic.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct LocalApicStateV1 {
    static constexpr std::string_view kKind = "local_apic";
    static constexpr uint32_t kVersion = 1;

    uint64_t base = 0;  // IA32_APIC_BASE
    uint8_t tpr = 0;
    uint8_t ldr = 0;
    uint32_t dfr = 0;
    uint32_t svr = 0;
    uint8_t esr = 0;
    uint8_t errors = 0;  // found since the last write to ESR
    uint64_t icr = 0;
    std::array<uint32_t, 6> lvt{};
    std::array<uint32_t, 8> irr{};
    std::array<uint32_t, 8> isr{};
    std::array<uint32_t, 8> tmr{};
    std::array<bool, 2> lint{};
    bool ext_int_message = false;
    uint32_t initial_count = 0;
    uint32_t divide = 0;
    bool timer_counting = false;
    uint64_t timer_expiry_ns = 0;  // guest time
    uint64_t tsc_deadline = 0;
    uint64_t tsc_offset = 0;
    uint64_t pv_eoi = 0;  // MSR_KVM_PV_EOI_EN
    bool pv_eoi_offered = false;
};

template <class Visitor>
void visit_fields(Visitor& v, LocalApicStateV1& s) {
    auto& [base, tpr, ldr, dfr, svr, esr, errors, icr, lvt, irr, isr, tmr, lint, ext_int_message,
           initial_count, divide, timer_counting, timer_expiry_ns, tsc_deadline, tsc_offset, pv_eoi,
           pv_eoi_offered] = s;
    v.field(1, base);
    v.field(2, tpr);
    v.field(3, ldr);
    v.field(4, dfr);
    v.field(5, svr);
    v.field(6, esr);
    v.field(7, errors);
    v.field(8, icr);
    v.field(9, lvt);
    v.field(10, irr);
    v.field(11, isr);
    v.field(12, tmr);
    v.field(13, lint);
    v.field(14, ext_int_message);
    v.field(15, initial_count);
    v.field(16, divide);
    v.field(17, timer_counting);
    v.field(18, timer_expiry_ns);
    v.field(19, tsc_deadline);
    v.field(20, tsc_offset);
    v.field(21, pv_eoi);
    v.field(22, pv_eoi_offered);
}

}  // namespace banyan
