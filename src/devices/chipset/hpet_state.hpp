// Saved state of Hpet.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct HpetTimerStateV1 {
    uint64_t config = 0;  // the writable bits
    uint64_t comparator = 0;
    uint64_t period = 0;
    uint64_t fsb_route = 0;
    bool waiting = false;
    uint64_t match_ns = 0;  // guest time
};

template <class Visitor>
void visit_fields(Visitor& v, HpetTimerStateV1& s) {
    auto& [config, comparator, period, fsb_route, waiting, match_ns] = s;
    v.field(1, config);
    v.field(2, comparator);
    v.field(3, period);
    v.field(4, fsb_route);
    v.field(5, waiting);
    v.field(6, match_ns);
}

struct HpetStateV1 {
    static constexpr std::string_view kKind = "hpet";
    static constexpr uint32_t kVersion = 1;

    uint64_t config = 0;
    uint8_t status = 0;
    uint64_t counter = 0;  // at guest time counter_ns
    uint64_t counter_ns = 0;
    std::array<HpetTimerStateV1, 3> timers{};
    std::array<bool, 2> legacy_levels{};  // wires of the 8254 and the CMOS clock
};

template <class Visitor>
void visit_fields(Visitor& v, HpetStateV1& s) {
    auto& [config, status, counter, counter_ns, timers, legacy_levels] = s;
    v.field(1, config);
    v.field(2, status);
    v.field(3, counter);
    v.field(4, counter_ns);
    v.field(5, timers);
    v.field(6, legacy_levels);
}

}  // namespace banyan
