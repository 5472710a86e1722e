// Saved state of a board: the sections of each chip under its key. Several chips of a kind have
// sections of one name, so that each needs a space of its own.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace banyan {

struct ChipState {
    std::vector<uint8_t> key;
    std::vector<uint8_t> sections;
};

template <class Visitor>
void visit_fields(Visitor& v, ChipState& s) {
    auto& [key, sections] = s;
    v.field(1, key);
    v.field(2, sections);
}

struct BoardStateV1 {
    static constexpr std::string_view kKind = "board";
    static constexpr uint32_t kVersion = 1;

    std::vector<ChipState> chips;
};

template <class Visitor>
void visit_fields(Visitor& v, BoardStateV1& s) {
    auto& [chips] = s;
    v.field(1, chips);
}

}  // namespace banyan
