// Gpa: a guest-physical address. Guest-virtual and linear addresses stay plain integers inside the
// engines.
#pragma once

#include <compare>
#include <cstdint>

namespace banyan {

struct Gpa {
    uint64_t value = 0;

    friend constexpr auto operator<=>(Gpa, Gpa) = default;
    friend constexpr Gpa operator+(Gpa gpa, uint64_t offset) { return {gpa.value + offset}; }
    friend constexpr uint64_t operator-(Gpa end, Gpa begin) { return end.value - begin.value; }
};

inline constexpr uint64_t kPageSize = 4096;
inline constexpr unsigned kPageShift = 12;

}  // namespace banyan
