// Mode 3 of the VGA BIOS, for boards that start a kernel without firmware: 80 by 25 characters of 9
// by 16 dots in 16 colours.
#pragma once

#include <cstddef>
#include <span>

#include "devices/display/vga_state.hpp"

namespace banyan {

inline constexpr size_t kTextFontSize = 4096;  // 256 characters of 16 lines

// The characters that a VGA BIOS holds; empty when there are none.
std::span<const std::byte> find_text_font(std::span<const std::byte> rom);

// An empty screen. Without a font (of kTextFontSize or empty) no character can be seen.
void set_text_mode(VgaState& state, std::span<std::byte> memory, std::span<const std::byte> font);

}  // namespace banyan
