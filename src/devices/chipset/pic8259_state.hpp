// Saved state of Pic8259Pair.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct Pic8259StateV1 {  // of one chip
    uint8_t expect = 0;  // 0 operation, 2..4: the ICW that comes next
    uint8_t icw1 = 0;
    uint8_t vector_base = 0;
    uint8_t icw3 = 0;
    uint8_t icw4 = 0;
    uint8_t imr = 0;
    uint8_t isr = 0;
    uint8_t edges = 0;
    uint8_t lines = 0;
    uint8_t elcr = 0;
    uint8_t lowest_priority = 0;
    bool read_isr = false;
    bool poll = false;
    bool special_mask = false;
    bool rotate_on_auto_eoi = false;
};

template <class Visitor>
void visit_fields(Visitor& v, Pic8259StateV1& s) {
    auto& [expect, icw1, vector_base, icw3, icw4, imr, isr, edges, lines, elcr, lowest_priority,
           read_isr, poll, special_mask, rotate_on_auto_eoi] = s;
    v.field(1, expect);
    v.field(2, icw1);
    v.field(3, vector_base);
    v.field(4, icw3);
    v.field(5, icw4);
    v.field(6, imr);
    v.field(7, isr);
    v.field(8, edges);
    v.field(9, lines);
    v.field(10, elcr);
    v.field(11, lowest_priority);
    v.field(12, read_isr);
    v.field(13, poll);
    v.field(14, special_mask);
    v.field(15, rotate_on_auto_eoi);
}

struct Pic8259PairStateV1 {
    static constexpr std::string_view kKind = "pic8259";
    static constexpr uint32_t kVersion = 1;

    std::array<Pic8259StateV1, 2> chips{};
    bool intr_seen = false;
};

template <class Visitor>
void visit_fields(Visitor& v, Pic8259PairStateV1& s) {
    auto& [chips, intr_seen] = s;
    v.field(1, chips);
    v.field(2, intr_seen);
}

}  // namespace banyan
