// VgaMemory: the window at A0000h, through which a guest reaches the four planes.
//
// The planes lie in the display memory byte beside byte: byte `o` of plane `p` is at 4 * o + p, so
// that one 32-bit word is what the latches hold. The window's 8 and 32-bit paths are those of
// FreeVGA's "VGA graphics hardware" and IBM's "Video memory organization".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "devices/display/vga_state.hpp"

namespace banyan {

class VgaMemory {
public:
    static constexpr uint64_t kWindowSize = 0x20000;  // A0000h..BFFFFh

    // Both are the device's and outlive this. Memory: at least four planes.
    VgaMemory(VgaState& state, std::span<std::byte> memory) : state_(state), memory_(memory) {}

    // `offset` is from A0000h. All ones where the window is closed.
    uint8_t read(uint64_t offset);
    void write(uint64_t offset, uint8_t value);

private:
    struct Place {
        bool inside = false;
        uint32_t offset = 0;    // in each plane, or in the memory where it is linear
        uint8_t planes = 0x0F;  // that an access reaches
    };
    Place find(uint64_t offset) const;
    Place find_linear(uint64_t offset) const;
    bool chain4() const;
    bool odd_even() const;
    uint32_t load(uint32_t offset) const;
    void store(uint32_t offset, uint32_t value, uint32_t mask);
    uint32_t written_word(uint8_t value) const;
    uint8_t compared(uint32_t word) const;

    VgaState& state_;
    const std::span<std::byte> memory_;
};

}  // namespace banyan
