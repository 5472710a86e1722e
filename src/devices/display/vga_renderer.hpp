// The picture that a monitor at this VGA would show, and the characters in it. Pure code: the same
// registers, memory and time give the same picture, whatever a guest has written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "devices/display/frame_writer.hpp"
#include "devices/display/vga_state.hpp"

namespace banyan {

struct VgaScreen {
    const VgaState& state;
    std::span<const std::byte> memory;  // at least four planes
    uint64_t now_ns = 0;                // for what blinks
};

void render(const VgaScreen& screen, FrameWriter& frame);

// False unless the VGA is in a text mode.
bool screen_text(const VgaScreen& screen, std::string& to);

}  // namespace banyan
