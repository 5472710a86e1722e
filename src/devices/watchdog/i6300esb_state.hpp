// Saved state of I6300Esb.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct I6300EsbStateV1 {
    static constexpr std::string_view kKind = "i6300esb";
    static constexpr uint32_t kVersion = 1;

    uint8_t lock = 0;
    std::array<uint32_t, 2> preload{};
    bool interrupt = false;
    bool timed_out = false;
    uint8_t unlock = 0;
    uint8_t stage = 0;
    uint64_t left = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, I6300EsbStateV1& s) {
    auto& [lock, preload, interrupt, timed_out, unlock, stage, left] = s;
    v.field(1, lock);
    v.field(2, preload);
    v.field(3, interrupt);
    v.field(4, timed_out);
    v.field(5, unlock);
    v.field(6, stage);
    v.field(7, left);
}

}  // namespace banyan
