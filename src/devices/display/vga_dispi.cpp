#include "devices/display/vga_dispi.hpp"

#include <algorithm>
#include <cstring>

namespace banyan {

using namespace vga;

namespace {

uint32_t bytes_of_line(uint32_t pixels, uint32_t depth) {
    return depth == 4 ? pixels / 8 : pixels * ((depth + 7) / 8);
}

// Of four bits a pixel each plane has a quarter.
uint64_t bytes_of_plane(uint32_t depth, size_t memory_size) {
    return depth == 4 ? memory_size / kPlanes : memory_size;
}

bool known_depth(uint16_t depth) {
    return depth == 4 || depth == 8 || depth == 15 || depth == 16 || depth == 24 || depth == 32;
}

uint32_t line_width(const VgaState& state) {
    return std::max(state.dispi[dispi::kVirtualWidth], state.dispi[dispi::kWidth]);
}

uint16_t virtual_height(const VgaState& state, size_t memory_size) {
    const uint32_t depth = state.dispi[dispi::kDepth];
    const uint32_t pitch = bytes_of_line(line_width(state), depth);
    if (pitch == 0) return 0;
    const uint64_t lines = bytes_of_plane(depth, memory_size) / pitch;
    return static_cast<uint16_t>(std::min<uint64_t>(lines, 0xFFFF));
}

uint16_t capability(uint16_t index) {
    switch (index) {
        case dispi::kWidth: return dispi::kMaxWidth;
        case dispi::kHeight: return dispi::kMaxHeight;
        default: return dispi::kMaxDepth;
    }
}

void clear_screen(const VgaState& state, std::span<std::byte> memory) {
    const DispiMode mode = dispi_mode(state, memory.size());
    const uint64_t planes = mode.depth == 4 ? kPlanes : 1;
    const uint64_t length = uint64_t{mode.pitch} * mode.height * planes;
    std::memset(memory.data(), 0, std::min<uint64_t>(length, memory.size()));
}

void enable(VgaState& state, std::span<std::byte> memory, uint16_t value) {
    auto& regs = state.dispi;
    const bool was_enabled = dispi_enabled(state);
    regs[dispi::kEnable] = value;
    if (!dispi_enabled(state)) {
        regs[dispi::kBank] = 0;
        return;
    }
    if (was_enabled) return;
    regs[dispi::kVirtualWidth] = regs[dispi::kWidth];
    regs[dispi::kXOffset] = 0;
    regs[dispi::kYOffset] = 0;
    regs[dispi::kBank] = 0;
    if ((value & dispi::kKeepMemory) == 0) clear_screen(state, memory);
}

}  // namespace

DispiMode dispi_mode(const VgaState& state, size_t memory_size) {
    const auto& regs = state.dispi;
    DispiMode mode;
    mode.depth = regs[dispi::kDepth];
    mode.pitch = bytes_of_line(line_width(state), mode.depth);
    const uint64_t size = bytes_of_plane(mode.depth, memory_size);
    const uint32_t pixels_a_byte = mode.depth == 4 ? 8 : 1;
    mode.shift = regs[dispi::kXOffset] % pixels_a_byte;
    const uint64_t start = uint64_t{mode.pitch} * regs[dispi::kYOffset] +
                           bytes_of_line(regs[dispi::kXOffset], mode.depth);
    // One byte more a line for a shifted one.
    const uint64_t line =
        bytes_of_line(regs[dispi::kWidth], mode.depth) + (mode.shift != 0 ? 1 : 0);
    const uint64_t before_last = uint64_t{mode.pitch} * (regs[dispi::kHeight] - 1ULL);
    if (regs[dispi::kWidth] == 0 || regs[dispi::kHeight] == 0 || start + before_last + line > size)
        return mode;
    mode.width = regs[dispi::kWidth];
    mode.height = regs[dispi::kHeight];
    mode.start = static_cast<uint32_t>(start);
    return mode;
}

uint16_t read_dispi(const VgaState& state, size_t memory_size) {
    const uint16_t index = state.dispi_index;
    if (index >= dispi::kCount) return 0;
    const bool wants_largest = (state.dispi[dispi::kEnable] & dispi::kCapabilities) != 0;
    if (wants_largest && index >= dispi::kWidth && index <= dispi::kDepth) return capability(index);
    if (index == dispi::kVirtualHeight) return virtual_height(state, memory_size);
    if (index == dispi::kMemory) return static_cast<uint16_t>(memory_size / dispi::kBankSize);
    return state.dispi[index];
}

// Values outside of what the adapter has are cut or dropped, as Bochs does.
void write_dispi(VgaState& state, std::span<std::byte> memory, uint16_t value) {
    auto& regs = state.dispi;
    switch (state.dispi_index) {
        case dispi::kId:
            if (value >= dispi::kOldestId && value <= dispi::kNewestId) regs[dispi::kId] = value;
            return;
        case dispi::kWidth:
            if (value <= dispi::kMaxWidth) regs[dispi::kWidth] = value & 0xFFF8;
            return;
        case dispi::kHeight:
            if (value <= dispi::kMaxHeight) regs[dispi::kHeight] = value;
            return;
        case dispi::kDepth:
            if (value == 0) value = 8;
            if (known_depth(value)) regs[dispi::kDepth] = value;
            return;
        case dispi::kEnable: return enable(state, memory, value);
        case dispi::kBank:
            if (value < memory.size() / dispi::kBankSize) regs[dispi::kBank] = value;
            return;
        case dispi::kVirtualWidth: regs[dispi::kVirtualWidth] = value & 0xFFF8; return;
        case dispi::kXOffset: regs[dispi::kXOffset] = value; return;
        case dispi::kYOffset: regs[dispi::kYOffset] = value; return;
        default: return;
    }
}

}  // namespace banyan
