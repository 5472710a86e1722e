#include "devices/display/vga_scan.hpp"

#include "devices/display/vga_registers.hpp"

namespace banyan {

using namespace vga;

namespace {

constexpr uint32_t kFewestCharacters = 16;
constexpr uint32_t kFewestShownLines = 100;

}  // namespace

VgaGeometry vga_geometry(const VgaState& state) {
    VgaGeometry geometry;
    const uint8_t clocking = state.sequencer[seq::kClocking];
    geometry.text = (state.graphics[gfx::kMisc] & gfx::kGraphicsMode) == 0;
    geometry.characters = state.crtc[crtc::kHorizontalDisplayEnd] + 1U;
    if (geometry.text && (clocking & seq::kEightDots) == 0)
        geometry.character_width = kWidestCharacter;
    geometry.lines = vertical_display_end(state) + 1;
    if ((clocking & seq::kHalfDotClock) != 0) geometry.dot_repeat = 2;
    if ((state.crtc[crtc::kMode] & crtc::kHalfVerticalClock) != 0) geometry.line_repeat = 2;
    return geometry;
}

bool vga_is_blank(const VgaState& state, const VgaGeometry& geometry) {
    return (state.attribute_index & attr::kScreenOn) == 0 ||
           (state.sequencer[seq::kClocking] & seq::kScreenOff) != 0 ||
           (state.crtc[crtc::kMode] & crtc::kSyncEnabled) == 0 ||
           geometry.characters < kFewestCharacters || geometry.lines < kFewestShownLines;
}

VgaScan::VgaScan(const VgaState& state)
    : state_(state),
      split_(line_compare(state)),
      last_row_scan_(state.crtc[crtc::kMaximumScanLine] & 0x1FU),
      pitch_(state.crtc[crtc::kOffset] * 2U),
      doubled_((state.crtc[crtc::kMaximumScanLine] & crtc::kScanDouble) != 0),
      row_address_(state.crtc[crtc::kStartHigh] * 256U + state.crtc[crtc::kStartLow] +
                   (state.crtc[crtc::kPresetRowScan] >> 5 & 3U)),
      row_scan_(state.crtc[crtc::kPresetRowScan] & 0x1FU) {}

void VgaScan::next_line() {
    if (line_++ == split_) {
        below_split_ = true;
        row_address_ = 0;
        row_scan_ = 0;
        second_of_two_ = false;
        return;
    }
    if (doubled_) {
        second_of_two_ = !second_of_two_;
        if (second_of_two_) return;
    }
    if (row_scan_ == last_row_scan_) {
        row_scan_ = 0;
        row_address_ += pitch_;
    } else {
        row_scan_ = (row_scan_ + 1) & 0x1F;
    }
}

uint32_t VgaScan::counter(uint32_t column) const {
    if ((state_.crtc[crtc::kUnderline] & crtc::kCountByFour) != 0) column /= 4;
    if ((state_.crtc[crtc::kMode] & crtc::kCountByTwo) != 0) column /= 2;
    return (row_address_ + column) & 0xFFFF;
}

uint32_t VgaScan::address(uint32_t column) const {
    const uint8_t mode = state_.crtc[crtc::kMode];
    const uint32_t count = counter(column);
    uint32_t address = count;
    if ((state_.crtc[crtc::kUnderline] & crtc::kDoubleWord) != 0) {
        address = count << 2 | (count >> 14 & 3);
    } else if ((mode & crtc::kByteMode) == 0) {
        const unsigned top = (mode & crtc::kAddressWrap) != 0 ? 15 : 13;
        address = count << 1 | (count >> top & 1);
    }
    if ((mode & crtc::kMap13) == 0) address = (address & ~0x2000U) | (row_scan_ & 1) << 13;
    if ((mode & crtc::kMap14) == 0) address = (address & ~0x4000U) | (row_scan_ >> 1 & 1) << 14;
    return address & (kPlaneSize - 1);
}

}  // namespace banyan
