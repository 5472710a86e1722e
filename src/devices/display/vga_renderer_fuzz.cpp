// Pictures of registers and memory that hold anything, the impossible among it.
#include "devices/display/vga_renderer.hpp"
#include "support/assert.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    VgaState state;
    const uint64_t now = bytes.u64();
    const bool plausible = (bytes.u8() & 1) != 0;
    const auto fill = [&](auto& registers) {
        for (auto& reg : registers)
            reg = static_cast<std::remove_reference_t<decltype(reg)>>(bytes.u16());
    };
    fill(state.sequencer);
    fill(state.crtc);
    fill(state.graphics);
    fill(state.attribute);
    fill(state.dispi);
    state.misc = bytes.u8();
    state.attribute_index = bytes.u8();
    state.dac_mask = bytes.u8();
    if (plausible) {
        state.attribute_index |= vga::attr::kScreenOn;
        state.sequencer[vga::seq::kClocking] &= 0xDF;
        state.crtc[vga::crtc::kMode] |= vga::crtc::kSyncEnabled;
        state.dispi[vga::dispi::kWidth] %= 2561;
        state.dispi[vga::dispi::kHeight] %= 1601;
    }
    std::vector<std::byte> memory(256 << 10);
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
