// The Bochs VBE extensions: how a guest sets modes beyond the VGA's by eleven 16-bit registers
// (Bochs, vbe_display_api.txt).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "devices/display/vga_state.hpp"

namespace banyan {

// What is on the screen while the extensions are enabled. Whatever the registers hold, all of it
// lies inside of the memory.
struct DispiMode {
    uint32_t width = 0;  // pixels
    uint32_t height = 0;
    uint32_t depth = 0;  // bits a pixel: 4 (planes), 8, 15, 16, 24, 32
    uint32_t pitch = 0;  // bytes from line to line; of 4 bits a pixel: in each plane
    uint32_t start = 0;  // of the first line, in the same bytes
    uint32_t shift = 0;  // pixels to the first one, where bytes hold several
};

// Nothing is on the screen if the mode does not fit: then width and height are 0.
DispiMode dispi_mode(const VgaState& state, size_t memory_size);

inline bool dispi_enabled(const VgaState& state) {
    return (state.dispi[vga::dispi::kEnable] & vga::dispi::kEnabled) != 0;
}
// Memory behind A0000h is then one line of bytes, not planes.
inline bool dispi_linear(const VgaState& state) {
    return dispi_enabled(state) && state.dispi[vga::dispi::kDepth] != 4;
}

uint16_t read_dispi(const VgaState& state, size_t memory_size);
// Clears `memory` when a mode is set without kKeepMemory.
void write_dispi(VgaState& state, std::span<std::byte> memory, uint16_t value);

}  // namespace banyan
