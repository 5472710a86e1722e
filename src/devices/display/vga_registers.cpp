#include "devices/display/vga_registers.hpp"

#include <algorithm>

#include "support/bits.hpp"

namespace banyan {

using namespace vga;

namespace {

constexpr uint8_t kAttributeIndexMask = 0x1F;
constexpr uint8_t kDacValueMask = 0x3F;
constexpr uint8_t kDacReads = 0x03;  // of the state

// A line of every standard mode takes as long: 800 dots of 25.175 MHz, 900 of 28.322 MHz.
constexpr uint64_t kLineNs = 31'778;
constexpr uint64_t kDisplayedNs = 25'422;
constexpr unsigned kRetraceLines = 2;
constexpr unsigned kUsualLines = 449;
constexpr unsigned kFewestLines = 100;  // below, the registers are not set up

bool is_mono_address(uint16_t port) {
    return port == kMonoCrtcIndex || port == kMonoCrtcData || port == kMonoStatus1;
}

bool is_colour_address(uint16_t port) {
    return port == kCrtcIndex || port == kCrtcData || port == kStatus1;
}

// `low` and bits of the overflow register.
unsigned ten_bits(const VgaState& state, crtc::Index low, unsigned bit8, unsigned bit9) {
    const uint8_t overflow = state.crtc[crtc::kOverflow];
    return state.crtc[low] | (has_bit(overflow, bit8) ? 0x100U : 0U) |
           (has_bit(overflow, bit9) ? 0x200U : 0U);
}

}  // namespace

unsigned vertical_total(const VgaState& state) {
    return ten_bits(state, crtc::kVerticalTotal, 0, 5);
}

unsigned vertical_display_end(const VgaState& state) {
    return ten_bits(state, crtc::kVerticalDisplayEnd, 1, 6);
}

unsigned vertical_retrace_start(const VgaState& state) {
    return ten_bits(state, crtc::kVerticalRetraceStart, 2, 7);
}

unsigned line_compare(const VgaState& state) {
    return state.crtc[crtc::kLineCompare] |
           (has_bit(state.crtc[crtc::kOverflow], 4) ? 0x100U : 0U) |
           (has_bit(state.crtc[crtc::kMaximumScanLine], 6) ? 0x200U : 0U);
}

// The CRTC and status 1 are at one of two addresses.
bool VgaRegisters::decodes(uint16_t port) const {
    const bool colour = (state_.misc & misc::kColour) != 0;
    return !(is_mono_address(port) && colour) && !(is_colour_address(port) && !colour);
}

IoStatus VgaRegisters::read(uint16_t port, uint8_t& value) {
    if (!decodes(port)) return IoStatus::no_register;
    switch (port) {
        case kMonoStatus1:
        case kStatus1: value = read_status1(); return IoStatus::ok;
        case kMonoCrtcIndex:
        case kCrtcIndex: value = state_.crtc_index; return IoStatus::ok;
        case kMonoCrtcData:
        case kCrtcData: value = read_crtc(); return IoStatus::ok;
        case kAttribute: value = state_.attribute_index; return IoStatus::ok;
        case kAttributeData: {
            const size_t index = state_.attribute_index & kAttributeIndexMask;
            value = index < attr::kCount ? state_.attribute[index] : uint8_t{0};
            return IoStatus::ok;
        }
        case kStatus0: value = kStatus0SwitchSense; return IoStatus::ok;
        case kMiscRead: value = state_.misc; return IoStatus::ok;
        case kFeatureRead: value = state_.feature; return IoStatus::ok;
        default: break;
    }
    if (port < kSequencerIndex || port > kGraphicsData) return IoStatus::no_register;
    value = read_data(port);
    return IoStatus::ok;
}

uint8_t VgaRegisters::read_data(uint16_t port) {
    switch (port) {
        case kSequencerIndex: return state_.sequencer_index;
        case kSequencerData:
            return state_.sequencer_index < seq::kCount ? state_.sequencer[state_.sequencer_index]
                                                        : uint8_t{0};
        case kDacMask: return state_.dac_mask;
        case kDacReadIndex: return state_.dac_reading ? kDacReads : uint8_t{0};
        case kDacWriteIndex: return state_.dac_write_index;
        case kDacData: return read_dac();
        case kGraphicsIndex: return state_.graphics_index;
        case kGraphicsData:
            return state_.graphics_index < gfx::kCount ? state_.graphics[state_.graphics_index]
                                                       : uint8_t{0};
        default: return 0xFF;
    }
}

uint8_t VgaRegisters::read_crtc() const {
    return state_.crtc_index < crtc::kCount ? state_.crtc[state_.crtc_index] : uint8_t{0};
}

// Where the beam is follows from the time. Reading also says that an index comes next at 3C0h.
uint8_t VgaRegisters::read_status1() {
    state_.attribute_data_next = false;
    const unsigned total = vertical_total(state_) + 2;
    const unsigned lines = total < kFewestLines ? kUsualLines : total;
    const unsigned displayed = std::min(vertical_display_end(state_) + 1, lines - kRetraceLines);
    const unsigned retrace =
        std::clamp(vertical_retrace_start(state_), displayed, lines - kRetraceLines);
    const uint64_t in_frame = clock_.now_ns() % (kLineNs * lines);
    const uint64_t line = in_frame / kLineNs;
    uint8_t value = 0;
    if (line >= displayed || in_frame % kLineNs >= kDisplayedNs) value |= status1::kDisplayDisabled;
    if (line >= retrace && line < retrace + kRetraceLines) value |= status1::kVerticalRetrace;
    return value;
}

uint8_t VgaRegisters::read_dac() {
    const uint8_t value = state_.palette[3U * state_.dac_read_index + state_.dac_component];
    if (++state_.dac_component == 3) {
        state_.dac_component = 0;
        ++state_.dac_read_index;
    }
    return value;
}

IoStatus VgaRegisters::write(uint16_t port, uint8_t value) {
    if (!decodes(port)) return IoStatus::no_register;
    switch (port) {
        case kMonoStatus1:
        case kStatus1: state_.feature = value & 0x03; return IoStatus::ok;
        case kMonoCrtcIndex:
        case kCrtcIndex: state_.crtc_index = value; return IoStatus::ok;
        case kMonoCrtcData:
        case kCrtcData: write_crtc(value); return IoStatus::ok;
        case kAttribute: write_attribute(value); return IoStatus::ok;
        case kStatus0: state_.misc = value & 0xEF; return IoStatus::ok;
        case kSequencerIndex: state_.sequencer_index = value & 0x07; return IoStatus::ok;
        case kSequencerData:
            if (state_.sequencer_index < seq::kCount)
                state_.sequencer[state_.sequencer_index] =
                    value & seq::kWritable[state_.sequencer_index];
            return IoStatus::ok;
        case kDacMask: state_.dac_mask = value; return IoStatus::ok;
        case kDacReadIndex:
            state_.dac_read_index = value;
            state_.dac_component = 0;
            state_.dac_reading = true;
            return IoStatus::ok;
        case kDacWriteIndex:
            state_.dac_write_index = value;
            state_.dac_component = 0;
            state_.dac_reading = false;
            return IoStatus::ok;
        case kDacData: write_dac(value); return IoStatus::ok;
        case kGraphicsIndex: state_.graphics_index = value & 0x0F; return IoStatus::ok;
        case kGraphicsData:
            if (state_.graphics_index < gfx::kCount)
                state_.graphics[state_.graphics_index] =
                    value & gfx::kWritable[state_.graphics_index];
            return IoStatus::ok;
        default: return IoStatus::no_register;
    }
}

void VgaRegisters::write_attribute(uint8_t value) {
    const bool is_data = state_.attribute_data_next;
    state_.attribute_data_next = !is_data;
    if (!is_data) {
        state_.attribute_index = value & (attr::kScreenOn | kAttributeIndexMask);
        return;
    }
    const size_t index = state_.attribute_index & kAttributeIndexMask;
    if (index >= attr::kCount) return;
    // The palette belongs to the CPU only while the screen is off.
    const bool is_palette = index < attr::kMode;
    if (is_palette && (state_.attribute_index & attr::kScreenOn) != 0) return;
    state_.attribute[index] = is_palette ? value & 0x3F : value;
}

void VgaRegisters::write_crtc(uint8_t value) {
    const uint8_t index = state_.crtc_index;
    if (index >= crtc::kCount) return;
    const bool is_protected = (state_.crtc[crtc::kVerticalRetraceEnd] & crtc::kProtect) != 0;
    if (is_protected && index <= crtc::kOverflow) {
        if (index != crtc::kOverflow) return;
        const uint8_t before = state_.crtc[index];
        value = static_cast<uint8_t>((before & ~crtc::kOverflowLineCompare) |
                                     (value & crtc::kOverflowLineCompare));
    }
    state_.crtc[index] = value;
}

// A colour changes when its third value has come.
void VgaRegisters::write_dac(uint8_t value) {
    const bool eight_bits = (state_.dispi[dispi::kEnable] & dispi::kEightBitDac) != 0;
    state_.dac_pending[state_.dac_component] = eight_bits ? value : value & kDacValueMask;
    if (++state_.dac_component < 3) return;
    state_.dac_component = 0;
    std::copy(state_.dac_pending.begin(), state_.dac_pending.end(),
              state_.palette.begin() + 3 * state_.dac_write_index);
    ++state_.dac_write_index;
}

bool is_possible(const VgaState& state) {
    bool possible = state.sequencer_index <= 0x07 && state.graphics_index <= 0x0F &&
                    state.dac_component < 3 && (state.misc & 0x10) == 0 &&
                    (state.attribute_index & 0xC0) == 0;
    for (size_t i = 0; i < seq::kCount; ++i)
        possible &= (state.sequencer[i] & ~seq::kWritable[i]) == 0;
    for (size_t i = 0; i < gfx::kCount; ++i)
        possible &= (state.graphics[i] & ~gfx::kWritable[i]) == 0;
    const auto& ext = state.dispi;
    possible &= ext[dispi::kId] >= dispi::kOldestId && ext[dispi::kId] <= dispi::kNewestId;
    possible &= ext[dispi::kWidth] <= dispi::kMaxWidth && ext[dispi::kWidth] % 8 == 0;
    possible &= ext[dispi::kHeight] <= dispi::kMaxHeight && ext[dispi::kVirtualWidth] % 8 == 0;
    return possible;
}

}  // namespace banyan
