#include "devices/display/vga_text_mode.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "devices/display/vga_memory.hpp"
#include "support/assert.hpp"

namespace banyan {

using namespace vga;

namespace {

// IBM Personal System/2 and Personal Computer BIOS interface technical reference, mode 3+.
constexpr uint8_t kMisc = 0x67;
constexpr std::array<uint8_t, seq::kCount> kSequencer{0x03, 0x00, 0x03, 0x00, 0x02};
constexpr std::array<uint8_t, crtc::kCount> kCrtc{
    0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0x00,
    0x00, 0x00, 0x00, 0x9C, 0x8E, 0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF};
constexpr std::array<uint8_t, gfx::kCount> kGraphics{0x00, 0x00, 0x00, 0x00, 0x00,
                                                     0x10, 0x0E, 0x00, 0xFF};
constexpr std::array<uint8_t, attr::kCount> kAttributes{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                                        0x07, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D,
                                                        0x3E, 0x3F, 0x0C, 0x00, 0x0F, 0x08, 0x00};

constexpr uint32_t kBlankCell = 0x0720;  // a blank in light grey on black

// The 64 colours of the EGA: two bits a colour, the upper one of lower weight.
uint8_t ega_value(unsigned colour, unsigned strong, unsigned weak) {
    return static_cast<uint8_t>((colour >> strong & 1) * 42 + (colour >> weak & 1) * 21);
}

void set_palette(VgaState& state) {
    state.palette.fill(0);
    for (unsigned colour = 0; colour < 64; ++colour) {
        state.palette[3 * colour] = ega_value(colour, 2, 5);
        state.palette[3 * colour + 1] = ega_value(colour, 1, 4);
        state.palette[3 * colour + 2] = ega_value(colour, 0, 3);
    }
}

}  // namespace

// Its first two characters, an empty one and a face, are the same in every VGA BIOS.
std::span<const std::byte> find_text_font(std::span<const std::byte> rom) {
    constexpr std::array<uint8_t, 32> kStart{
        0, 0, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0,
        0, 0, 0x7E, 0x81, 0xA5, 0x81, 0x81, 0xBD, 0x99, 0x81, 0x81, 0x7E, 0, 0, 0, 0};
    const auto bytes = std::as_bytes(std::span(kStart));
    const auto found = std::search(rom.begin(), rom.end(), bytes.begin(), bytes.end());
    const auto left = static_cast<size_t>(rom.end() - found);
    return left >= kTextFontSize ? rom.subspan(rom.size() - left, kTextFontSize)
                                 : std::span<const std::byte>();
}

void set_text_mode(VgaState& state, std::span<std::byte> memory, std::span<const std::byte> font) {
    BANYAN_ASSERT(font.empty() || font.size() == kTextFontSize);
    state = {};
    state.misc = kMisc;
    state.sequencer = kSequencer;
    state.crtc = kCrtc;
    state.graphics = kGraphics;
    state.attribute = kAttributes;
    state.attribute_index = attr::kScreenOn;
    set_palette(state);
    // A character set has 32 lines a character; its bytes are those of plane 2.
    for (size_t i = 0; i < font.size(); ++i)
        memory[(i / 16 * 32 + i % 16) * kPlanes + 2] = font[i];
    constexpr size_t kCells = 0x4000;
    for (size_t cell = 0; cell < kCells; ++cell) {
        memory[2 * cell * kPlanes] = std::byte{kBlankCell & 0xFF};
        memory[2 * cell * kPlanes + 1] = std::byte{kBlankCell >> 8};
    }
}

}  // namespace banyan
