#include "devices/display/vga_renderer.hpp"

#include <algorithm>
#include <array>

#include "devices/display/vga_dispi.hpp"
#include "devices/display/vga_scan.hpp"
#include "support/bits.hpp"
#include "vm/clock.hpp"

namespace banyan {

using namespace vga;

namespace {

constexpr uint32_t kBlankWidth = 640;
constexpr uint32_t kBlankHeight = 400;
constexpr size_t kMostDots = size_t{kMostCharacters + 1} * kWidestCharacter;
constexpr size_t kWidestLine = 2 * kMostDots;
static_assert(kWidestLine >= dispi::kMaxWidth + 8);
using Pixels = std::array<uint32_t, kWidestLine>;
using Dots = std::array<uint8_t, kMostDots>;

// Fields in the time since the start: what blinks is counted in them.
constexpr uint64_t kFieldsPerSecond = 70;
constexpr uint64_t kCursorFields = 16;  // on, and as many off
constexpr uint64_t kBlinkFields = 32;

uint32_t rgb(uint32_t red, uint32_t green, uint32_t blue) {
    return red << 16 | green << 8 | blue;
}

// To eight bits: the highest bits again at the lower end.
uint32_t widen(uint32_t value, unsigned bits) {
    return value << (8 - bits) | value >> (2 * bits - 8);
}

// Colours by what the shift registers give: attributes of 4 bits or colours of 8.
class Colours {
public:
    explicit Colours(const VgaState& state) : state_(state) {
        for (size_t i = 0; i < dac_.size(); ++i)
            dac_[i] = of_dac(i);
        for (size_t i = 0; i < attributes_.size(); ++i)
            attributes_[i] = dac_[colour_of(static_cast<uint8_t>(i)) & state.dac_mask];
    }
    uint32_t attribute(uint8_t dot) const {
        return attributes_[dot & state_.attribute[attr::kPlaneEnable] & 0x0F];
    }
    uint32_t direct(uint8_t dot) const { return dac_[dot & state_.dac_mask]; }

private:
    uint32_t of_dac(size_t index) const {
        const uint8_t* values = state_.palette.data() + 3 * index;
        const bool eight_bits = (state_.dispi[dispi::kEnable] & dispi::kEightBitDac) != 0;
        if (eight_bits) return rgb(values[0], values[1], values[2]);
        return rgb(widen(values[0] & 0x3FU, 6), widen(values[1] & 0x3FU, 6),
                   widen(values[2] & 0x3FU, 6));
    }
    uint8_t colour_of(uint8_t attribute) const {
        const uint8_t select = state_.attribute[attr::kColourSelect];
        uint32_t colour = state_.attribute[attribute] & 0x3FU;
        if ((state_.attribute[attr::kMode] & attr::kPalette54) != 0)
            colour = (colour & 0x0F) | (select & 3U) << 4;
        return static_cast<uint8_t>(colour | (select & 0x0CU) << 4);
    }

    const VgaState& state_;
    std::array<uint32_t, kDacColours> dac_{};
    std::array<uint32_t, 16> attributes_{};
};

// Where a character set begins in plane 2; `select` has three bits.
uint32_t font_offset(const VgaState& state, unsigned low, unsigned high) {
    const uint8_t map = state.sequencer[seq::kCharacterMap];
    if ((state.sequencer[seq::kMemoryMode] & seq::kExtendedMemory) == 0) return 0;
    return (map >> low & 3U) * 0x4000U + (map >> high & 1U) * 0x2000U;
}

class TextLine {
public:
    TextLine(const VgaScreen& screen, const VgaGeometry& geometry)
        : state_(screen.state),
          memory_(screen.memory),
          geometry_(geometry),
          font_b_(font_offset(screen.state, 0, 4)),
          font_a_(font_offset(screen.state, 2, 5)),
          mode_(screen.state.attribute[attr::kMode]) {
        const uint64_t fields = screen.now_ns / (kNsPerSecond / kFieldsPerSecond);
        cursor_on_ = (state_.crtc[crtc::kCursorStart] & crtc::kCursorOff) == 0 &&
                     fields / kCursorFields % 2 == 0;
        blink_off_ = fields / kBlinkFields % 2 != 0;
        cursor_at_ = state_.crtc[crtc::kCursorHigh] * 256U + state_.crtc[crtc::kCursorLow];
    }

    void draw(const VgaScan& scan, Dots& dots) const {
        for (uint32_t column = 0; column <= geometry_.characters; ++column)
            draw_character(scan, column, dots.data() + column * geometry_.character_width);
    }

private:
    void draw_character(const VgaScan& scan, uint32_t column, uint8_t* to) const {
        const uint32_t word = planes_at(memory_, scan.address(column));
        const auto code = static_cast<uint8_t>(word);
        const auto attribute = static_cast<uint8_t>(word >> 8);
        uint8_t foreground = attribute & 0x0F;
        auto background = static_cast<uint8_t>(attribute >> 4);
        uint32_t pattern = font_row(code, attribute, scan.row_scan());
        if ((attribute & 0x77) == 0x01 &&
            scan.row_scan() == (state_.crtc[crtc::kUnderline] & 0x1FU))
            pattern = 0x1FF;
        if ((mode_ & attr::kBlink) != 0) {
            background &= 0x07;
            if ((attribute & 0x80) != 0 && blink_off_) pattern = 0;
        }
        if (is_cursor(scan, column)) pattern = 0x1FF;
        for (uint32_t dot = 0; dot < geometry_.character_width; ++dot)
            to[dot] = (pattern >> (8 - dot) & 1) != 0 ? foreground : background;
    }

    // Nine dots, the leftmost in bit 8.
    uint32_t font_row(uint8_t code, uint8_t attribute, uint32_t row) const {
        const uint32_t font = (attribute & 0x08) != 0 ? font_a_ : font_b_;
        const uint32_t word = planes_at(memory_, font + code * 32U + row);
        const uint32_t row_dots = word >> 16 & 0xFF;
        const bool repeats = (mode_ & attr::kLineGraphics) != 0 && code >= 0xC0 && code <= 0xDF;
        return row_dots << 1 | (repeats ? row_dots & 1 : 0U);
    }

    bool is_cursor(const VgaScan& scan, uint32_t column) const {
        if (!cursor_on_ || scan.counter(column) != cursor_at_) return false;
        const uint32_t first = state_.crtc[crtc::kCursorStart] & 0x1FU;
        const uint32_t last = state_.crtc[crtc::kCursorEnd] & 0x1FU;
        return scan.row_scan() >= first && scan.row_scan() <= last;
    }

    const VgaState& state_;
    const std::span<const std::byte> memory_;
    const VgaGeometry& geometry_;
    const uint32_t font_b_;  // of characters without attribute bit 3
    const uint32_t font_a_;
    const uint8_t mode_;
    bool cursor_on_ = false;
    bool blink_off_ = false;
    uint32_t cursor_at_ = 0;
};

// The two bits that CGA has for a pixel, from two planes, for dots 0..3.
uint8_t interleaved_dot(uint32_t low, uint32_t high, unsigned dot) {
    const unsigned shift = 6 - 2 * dot;
    return static_cast<uint8_t>((low >> shift & 3) | (high >> shift & 3) << 2);
}

void draw_planar(uint32_t word, uint8_t* to) {
    for (unsigned dot = 0; dot < 8; ++dot) {
        const unsigned at = 7 - dot;
        to[dot] = static_cast<uint8_t>((word >> at & 1) | (word >> (at + 8) & 1) << 1 |
                                       (word >> (at + 16) & 1) << 2 | (word >> (at + 24) & 1) << 3);
    }
}

void draw_interleaved(uint32_t word, uint8_t* to) {
    for (unsigned dot = 0; dot < 4; ++dot) {
        to[dot] = interleaved_dot(word & 0xFF, word >> 16 & 0xFF, dot);
        to[dot + 4] = interleaved_dot(word >> 8 & 0xFF, word >> 24, dot);
    }
}

// Four pixels of two dots.
void draw_256_colours(uint32_t word, uint8_t* to) {
    for (unsigned dot = 0; dot < 8; ++dot)
        to[dot] = static_cast<uint8_t>(word >> (8 * (dot / 2)));
}

class VgaPicture {
public:
    explicit VgaPicture(const VgaScreen& screen)
        : screen_(screen),
          geometry_(vga_geometry(screen.state)),
          colours_(screen.state),
          text_(screen, geometry_),
          mode_(screen.state.graphics[gfx::kMode]),
          direct_(!geometry_.text && (mode_ & gfx::k256Colours) != 0) {}

    void draw(FrameWriter& frame) {
        const uint32_t dots = geometry_.characters * geometry_.character_width;
        const uint32_t width = dots * geometry_.dot_repeat;
        frame.begin(width, geometry_.lines * geometry_.line_repeat);
        VgaScan scan(screen_.state);
        for (uint32_t line = 0; line < geometry_.lines; ++line) {
            draw_line(scan);
            to_pixels(panning(scan), width);
            for (uint32_t again = 0; again < geometry_.line_repeat; ++again)
                frame.put(line * geometry_.line_repeat + again, std::span(pixels_).first(width));
            scan.next_line();
        }
    }

private:
    void draw_line(const VgaScan& scan) {
        if (geometry_.text) return text_.draw(scan, dots_);
        for (uint32_t column = 0; column <= geometry_.characters; ++column) {
            const uint32_t word = planes_at(screen_.memory, scan.address(column));
            uint8_t* to = dots_.data() + size_t{column} * 8;
            if (direct_) {
                draw_256_colours(word, to);
            } else if ((mode_ & gfx::kInterleaved) != 0) {
                draw_interleaved(word, to);
            } else {
                draw_planar(word, to);
            }
        }
    }

    // Dots to the left (FreeVGA, "Horizontal pixel panning register"): of nine-dot characters 8
    // stands for none.
    uint32_t panning(const VgaScan& scan) const {
        const bool ends = (screen_.state.attribute[attr::kMode] & attr::kPanningCompatible) != 0;
        if (ends && scan.below_split()) return 0;
        const uint32_t value = screen_.state.attribute[attr::kPanning] & 0x0FU;
        if (geometry_.character_width == kWidestCharacter) return value >= 8 ? 0 : value + 1;
        return value & 7;
    }

    void to_pixels(uint32_t skipped, uint32_t width) {
        for (uint32_t x = 0; x < width; ++x) {
            const uint8_t dot = dots_[skipped + x / geometry_.dot_repeat];
            pixels_[x] = direct_ ? colours_.direct(dot) : colours_.attribute(dot);
        }
    }

    const VgaScreen& screen_;
    const VgaGeometry geometry_;
    const Colours colours_;
    const TextLine text_;
    const uint8_t mode_;
    const bool direct_;
    Dots dots_{};
    Pixels pixels_{};
};

// Of the Bochs VBE extensions.
class DispiPicture {
public:
    DispiPicture(const VgaScreen& screen, const DispiMode& mode)
        : screen_(screen), mode_(mode), colours_(screen.state) {}

    void draw(FrameWriter& frame) {
        frame.begin(mode_.width, mode_.height);
        for (uint32_t y = 0; y < mode_.height; ++y) {
            const size_t at = mode_.start + size_t{y} * mode_.pitch;
            if (mode_.depth == 4) {
                draw_planes(at);
            } else {
                draw_line(screen_.memory.data() + at);
            }
            frame.put(y, std::span(pixels_).first(mode_.width));
        }
    }

private:
    void draw_planes(size_t at) {
        std::array<uint8_t, 8> dots{};
        for (uint32_t x = 0; x < mode_.width; ++x) {
            const uint32_t dot = x + mode_.shift;
            if (x == 0 || dot % 8 == 0)
                draw_planar(planes_at(screen_.memory, static_cast<uint32_t>(at + dot / 8)),
                            dots.data());
            pixels_[x] = colours_.attribute(dots[dot % 8]);
        }
    }

    void draw_line(const std::byte* from) {
        const uint32_t size = (mode_.depth + 7) / 8;
        for (uint32_t x = 0; x < mode_.width; ++x) {
            uint32_t raw = 0;
            std::memcpy(&raw, from + size_t{x} * size, size);
            pixels_[x] = colour_of(raw);
        }
    }

    uint32_t colour_of(uint32_t raw) const {
        switch (mode_.depth) {
            case 8: return colours_.direct(static_cast<uint8_t>(raw));
            case 15:
                return rgb(widen(bits(raw, 14, 10), 5), widen(bits(raw, 9, 5), 5),
                           widen(bits(raw, 4, 0), 5));
            case 16:
                return rgb(widen(bits(raw, 15, 11), 5), widen(bits(raw, 10, 5), 6),
                           widen(bits(raw, 4, 0), 5));
            default: return raw & 0xFFFFFF;
        }
    }

    const VgaScreen& screen_;
    const DispiMode mode_;
    const Colours colours_;
    Pixels pixels_{};
};

void draw_blank(uint32_t width, uint32_t height, FrameWriter& frame) {
    const Pixels black{};
    frame.begin(width, height);
    for (uint32_t y = 0; y < height; ++y)
        frame.put(y, std::span(black).first(width));
}

bool dispi_is_blank(const VgaState& state, const DispiMode& mode) {
    return mode.width == 0 || (state.attribute_index & attr::kScreenOn) == 0;
}

}  // namespace

void render(const VgaScreen& screen, FrameWriter& frame) {
    if (dispi_enabled(screen.state)) {
        const DispiMode mode = dispi_mode(screen.state, screen.memory.size());
        if (!dispi_is_blank(screen.state, mode)) return DispiPicture(screen, mode).draw(frame);
    } else if (!vga_is_blank(screen.state, vga_geometry(screen.state))) {
        return VgaPicture(screen).draw(frame);
    }
    draw_blank(kBlankWidth, kBlankHeight, frame);
}

}  // namespace banyan
