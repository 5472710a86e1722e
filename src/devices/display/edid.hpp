// What the monitor says of itself: a block of E-EDID 1.4 (VESA Enhanced EDID Standard, release A,
// revision 2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace banyan {

inline constexpr size_t kEdidSize = 128;

// A monitor that likes 1024x768 best.
std::array<uint8_t, kEdidSize> make_edid();

}  // namespace banyan
