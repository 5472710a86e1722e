// Saved state of Pit8254. Ticks are signed numbers in two's complement.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct PitCounterStateV1 {
    uint8_t mode = 0;
    uint8_t access = 0;
    bool bcd = false;
    bool gate = false;
    bool write_high_next = false;
    bool read_high_next = false;
    uint8_t low_byte = 0;
    bool count_latched = false;
    uint16_t count_latch = 0;
    bool status_latched = false;
    uint8_t status_latch = 0;
    bool loaded = false;
    bool stopped = false;
    uint32_t count = 0;
    uint32_t next_count = 0;  // 0: none
    uint64_t switch_tick = 0;
    uint64_t start = 0;
    uint64_t elapsed = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, PitCounterStateV1& s) {
    auto& [mode, access, bcd, gate, write_high_next, read_high_next, low_byte, count_latched,
           count_latch, status_latched, status_latch, loaded, stopped, count, next_count,
           switch_tick, start, elapsed] = s;
    v.field(1, mode);
    v.field(2, access);
    v.field(3, bcd);
    v.field(4, gate);
    v.field(5, write_high_next);
    v.field(6, read_high_next);
    v.field(7, low_byte);
    v.field(8, count_latched);
    v.field(9, count_latch);
    v.field(10, status_latched);
    v.field(11, status_latch);
    v.field(12, loaded);
    v.field(13, stopped);
    v.field(14, count);
    v.field(15, next_count);
    v.field(16, switch_tick);
    v.field(17, start);
    v.field(18, elapsed);
}

struct Pit8254StateV1 {
    static constexpr std::string_view kKind = "pit8254";
    static constexpr uint32_t kVersion = 1;

    std::array<PitCounterStateV1, 3> counters{};
    uint8_t port61 = 0;
    bool edge_awaited = false;
    uint64_t edge_tick = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, Pit8254StateV1& s) {
    auto& [counters, port61, edge_awaited, edge_tick] = s;
    v.field(1, counters);
    v.field(2, port61);
    v.field(3, edge_awaited);
    v.field(4, edge_tick);
}

}  // namespace banyan
