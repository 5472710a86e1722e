// How the VGA's CRTC walks through memory: what the renderer and the text of a screen share
// (FreeVGA, "VGA display generation").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "devices/display/vga_state.hpp"

namespace banyan {

struct VgaGeometry {
    uint32_t characters = 0;  // in a line
    uint32_t character_width = 8;
    uint32_t lines = 0;
    uint32_t dot_repeat = 1;   // half the dot clock
    uint32_t line_repeat = 1;  // half the vertical clock
    bool text = false;
};

inline constexpr uint32_t kMostCharacters = 256;
inline constexpr uint32_t kWidestCharacter = 9;

VgaGeometry vga_geometry(const VgaState& state);
// Nothing reaches the monitor, or nothing that it could show.
bool vga_is_blank(const VgaState& state, const VgaGeometry& geometry);

// The scan lines of a screen, from the top.
class VgaScan {
public:
    explicit VgaScan(const VgaState& state);

    void next_line();
    uint32_t row_scan() const { return row_scan_; }
    bool below_split() const { return below_split_; }
    // The first character of the row, as the CRTC counts.
    uint32_t row_address() const { return row_address_; }
    // Where character `column` of this line lies in each plane.
    uint32_t address(uint32_t column) const;
    uint32_t counter(uint32_t column) const;

private:
    const VgaState& state_;
    const uint32_t split_;
    const uint32_t last_row_scan_;
    const uint32_t pitch_;
    const bool doubled_;
    uint32_t line_ = 0;
    uint32_t row_address_ = 0;
    uint32_t row_scan_ = 0;
    bool second_of_two_ = false;
    bool below_split_ = false;
};

// The four planes' bytes at an offset below kPlaneSize.
inline uint32_t planes_at(std::span<const std::byte> memory, uint32_t offset) {
    uint32_t word = 0;
    std::memcpy(&word, memory.data() + size_t{offset} * vga::kPlanes, sizeof(word));
    return word;
}

}  // namespace banyan
