// Scan codes: what keys are called in sets 1 and 2 (IBM Personal System/2 hardware interface
// technical reference, "Keyboards", "Scan code tables").
#pragma once

#include <cstdint>

namespace banyan {

inline constexpr uint8_t kExtendedCode = 0xE0;
inline constexpr uint8_t kPauseCode = 0xE1;
inline constexpr uint8_t kBreakCode = 0xF0;  // set 2: the key that follows is released
inline constexpr uint8_t kReleased = 0x80;   // set 1: in the code itself

// What the controller makes of a byte of set 2; bytes from 85h on stay.
uint8_t set2_to_set1(uint8_t code);
// The code of set 2 for one of set 1 (1..7Fh).
uint8_t set1_to_set2(uint8_t code);

}  // namespace banyan
