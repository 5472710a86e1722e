// What the VGA's registers hold, and its saved state.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "devices/display/vga_regs.hpp"

namespace banyan {

struct VgaState {
    uint8_t misc = 0;
    uint8_t feature = 0;
    uint8_t sequencer_index = 0;
    std::array<uint8_t, vga::seq::kCount> sequencer{};
    uint8_t crtc_index = 0;
    std::array<uint8_t, vga::crtc::kCount> crtc{};
    uint8_t graphics_index = 0;
    std::array<uint8_t, vga::gfx::kCount> graphics{};
    uint8_t attribute_index = 0;  // with kScreenOn
    bool attribute_data_next = false;
    std::array<uint8_t, vga::attr::kCount> attribute{};
    uint8_t dac_mask = 0xFF;
    uint8_t dac_read_index = 0;
    uint8_t dac_write_index = 0;
    uint8_t dac_component = 0;  // red, green or blue comes next
    bool dac_reading = false;
    std::array<uint8_t, 3> dac_pending{};
    std::array<uint8_t, 3 * vga::kDacColours> palette{};
    uint32_t latch = 0;  // a byte of each plane
    uint16_t dispi_index = 0;
    std::array<uint16_t, vga::dispi::kCount> dispi{vga::dispi::kNewestId};
};

// Registers have the values of VgaState.
struct VgaStateV1 {
    static constexpr std::string_view kKind = "vga";
    static constexpr uint32_t kVersion = 1;

    VgaState registers;
};

template <class Visitor>
void visit_fields(Visitor& v, VgaState& s) {
    auto& [misc, feature, sequencer_index, sequencer, crtc_index, crtc, graphics_index, graphics,
           attribute_index, attribute_data_next, attribute, dac_mask, dac_read_index,
           dac_write_index, dac_component, dac_reading, dac_pending, palette, latch, dispi_index,
           dispi] = s;
    v.field(1, misc);
    v.field(2, feature);
    v.field(3, sequencer_index);
    v.field(4, sequencer);
    v.field(5, crtc_index);
    v.field(6, crtc);
    v.field(7, graphics_index);
    v.field(8, graphics);
    v.field(9, attribute_index);
    v.field(10, attribute_data_next);
    v.field(11, attribute);
    v.field(12, dac_mask);
    v.field(13, dac_read_index);
    v.field(14, dac_write_index);
    v.field(15, dac_component);
    v.field(16, dac_reading);
    v.field(17, dac_pending);
    v.field(18, palette);
    v.field(19, latch);
    v.field(20, dispi_index);
    v.field(21, dispi);
}

template <class Visitor>
void visit_fields(Visitor& v, VgaStateV1& s) {
    auto& [registers] = s;
    v.field(1, registers);
}

// The display memory: pages that hold anything but zeroes.
struct VgaPageState {
    uint32_t number = 0;
    std::array<uint64_t, 512> words{};
};

template <class Visitor>
void visit_fields(Visitor& v, VgaPageState& s) {
    auto& [number, words] = s;
    v.field(1, number);
    v.field(2, words);
}

struct VgaMemoryStateV1 {
    static constexpr std::string_view kKind = "vga-memory";
    static constexpr uint32_t kVersion = 1;

    std::vector<VgaPageState> pages;
};

template <class Visitor>
void visit_fields(Visitor& v, VgaMemoryStateV1& s) {
    auto& [pages] = s;
    v.field(1, pages);
}

}  // namespace banyan
