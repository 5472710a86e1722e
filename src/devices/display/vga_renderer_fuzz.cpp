// Pictures of registers and memory that hold anything, the impossible among it: a mode of which
// some registers are changed.
#include "devices/display/testing/vga_board.hpp"
#include "devices/display/vga_renderer.hpp"
#include "support/assert.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

using namespace banyan;

template <class Registers>
void copy_mode(Registers& registers, const std::vector<uint8_t>& values) {
    std::copy(values.begin(), values.end(),
              registers.end() - static_cast<ptrdiff_t>(values.size()));
}

void set_mode(VgaState& state, const VgaBoard::Mode& mode) {
    state.attribute_index = vga::attr::kScreenOn;
    copy_mode(state.sequencer, mode.sequencer);
    copy_mode(state.crtc, mode.crtc);
    copy_mode(state.graphics, mode.graphics);
    copy_mode(state.attribute, mode.attribute);
    // A small picture is quickly drawn.
    state.crtc[vga::crtc::kHorizontalDisplayEnd] = 19;
    state.crtc[vga::crtc::kVerticalDisplayEnd] = 100;
    state.crtc[vga::crtc::kOverflow] = 0x10;
}

void choose_mode(VgaState& state, uint8_t choice) {
    switch (choice % 5) {
        case 0: return set_mode(state, vga_modes::kText);
        case 1: return set_mode(state, vga_modes::kCga4);
        case 2: return set_mode(state, vga_modes::kPlanar640x480);
        case 3: return set_mode(state, vga_modes::kMode13h);
        default:
            state.attribute_index = vga::attr::kScreenOn;
            state.dispi = {vga::dispi::kNewestId, 320, 64, 8, vga::dispi::kEnabled};
    }
}

void change_register(VgaState& state, FuzzBytes& bytes) {
    const uint8_t index = bytes.u8();
    switch (bytes.u8() % 6) {
        case 0: state.sequencer[index % state.sequencer.size()] = bytes.u8(); return;
        case 1: state.crtc[index % state.crtc.size()] = bytes.u8(); return;
        case 2: state.graphics[index % state.graphics.size()] = bytes.u8(); return;
        case 3: state.attribute[index % state.attribute.size()] = bytes.u8(); return;
        case 4: state.dispi[index % state.dispi.size()] = bytes.u16(); return;
        default: state.palette[index] = bytes.u8(); return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    VgaState state;
    choose_mode(state, bytes.u8());
    const uint64_t now = bytes.u32() * uint64_t{1000};
    for (unsigned changes = bytes.u8() % 32; changes > 0; --changes)
        change_register(state, bytes);
    static std::vector<std::byte> memory(256 << 10);
    for (size_t at = 0; !bytes.empty() && at < memory.size(); at += 61)
        memory[at] = static_cast<std::byte>(bytes.u8());

    const VgaScreen screen{state, memory, now};
    DisplayFrame frame;
    FrameWriter first(frame);
    render(screen, first);
    BANYAN_ASSERT(frame.pixels.size() == size_t{frame.width} * frame.height);
    FrameWriter second(frame);
    render(screen, second);
    BANYAN_ASSERT(second.change().first == second.change().end && !second.change().resized);
    std::string text;
    (void)screen_text(screen, text);
    return 0;
}
