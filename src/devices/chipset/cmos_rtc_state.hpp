// Saved state of CmosRtc. Seconds and shifts are signed numbers in two's complement.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct CmosRtcStateV1 {
    static constexpr std::string_view kKind = "cmos_rtc";
    static constexpr uint32_t kVersion = 1;

    uint8_t index = 0;
    uint8_t a = 0;
    uint8_t b = 0;
    uint8_t flags = 0;
    std::array<uint8_t, 3> alarm{};   // seconds, minutes, hours
    std::array<uint8_t, 8> halted{};  // the time registers while updates are halted
    uint8_t weekday_shift = 0;
    uint64_t second_shift = 0;
    uint32_t phase_ns = 0;
    uint64_t seen_second = 0;
    uint64_t seen_tick = 0;
    std::array<uint8_t, 128> memory{};
};

template <class Visitor>
void visit_fields(Visitor& v, CmosRtcStateV1& s) {
    auto& [index, a, b, flags, alarm, halted, weekday_shift, second_shift, phase_ns, seen_second,
           seen_tick, memory] = s;
    v.field(1, index);
    v.field(2, a);
    v.field(3, b);
    v.field(4, flags);
    v.field(5, alarm);
    v.field(6, halted);
    v.field(7, weekday_shift);
    v.field(8, second_shift);
    v.field(9, phase_ns);
    v.field(10, seen_second);
    v.field(11, seen_tick);
    v.field(12, memory);
}

}  // namespace banyan
