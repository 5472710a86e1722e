// A VGA with what a board gives it, and a guest that programs it, for tests and fuzz targets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "devices/display/vga.hpp"
#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {

struct VgaBoard {
    static constexpr uint32_t kFramebuffer = 0xE0000000;
    static constexpr uint32_t kRegisters = 0xE1000000;

    explicit VgaBoard(size_t memory_size = 1 << 20, std::span<const std::byte> rom = {})
        : storage(std::make_unique<std::byte[]>(memory_size)),
          memory(storage.get(), memory_size),
          vga({{mapper}, clock, memory, rom}) {}

    uint8_t in(uint16_t port) {
        uint32_t value = 0;
        const bool answered = vga.pio()->port_read(port, 1, value) == IoStatus::ok;
        return answered ? static_cast<uint8_t>(value) : uint8_t{0xFF};
    }
    void out(uint16_t port, unsigned value) { (void)vga.pio()->port_write(port, 1, value); }
    void out_indexed(uint16_t port, unsigned index, unsigned value) {
        out(port, index);
        out(static_cast<uint16_t>(port + 1), value);
    }
    uint8_t in_indexed(uint16_t port, unsigned index) {
        out(port, index);
        return in(static_cast<uint16_t>(port + 1));
    }
    void sequencer(unsigned index, unsigned value) { out_indexed(0x3C4, index, value); }
    void graphics(unsigned index, unsigned value) { out_indexed(0x3CE, index, value); }
    void crtc(unsigned index, unsigned value) { out_indexed(0x3D4, index, value); }
    void attribute(unsigned index, unsigned value) {
        (void)in(0x3DA);
        out(0x3C0, index);
        out(0x3C0, value);
    }
    void screen_on() {
        (void)in(0x3DA);
        out(0x3C0, 0x20);
    }
    void colour(unsigned index, unsigned red, unsigned green, unsigned blue) {
        out(0x3C8, index);
        for (const unsigned value : {red, green, blue})
            out(0x3C9, value);
    }
    uint16_t dispi(unsigned index) {
        uint32_t value = 0;
        (void)vga.pio()->port_write(0x1CE, 2, index);
        (void)vga.pio()->port_read(0x1CF, 2, value);
        return static_cast<uint16_t>(value);
    }
    void dispi(unsigned index, unsigned value) {
        (void)vga.pio()->port_write(0x1CE, 2, index);
        (void)vga.pio()->port_write(0x1CF, 2, value);
    }
    void set_dispi_mode(unsigned width, unsigned height, unsigned depth, unsigned flags = 0x41) {
        dispi(4, 0);
        dispi(1, width);
        dispi(2, height);
        dispi(3, depth);
        dispi(4, flags);
        screen_on();
    }
    // A mode by the values of its registers, as a VGA BIOS lists them.
    struct Mode {
        uint8_t misc;
        std::vector<uint8_t> sequencer;  // 1..4
        std::vector<uint8_t> crtc;
        std::vector<uint8_t> attribute;
        std::vector<uint8_t> graphics;
    };
    void set_mode(const Mode& mode) {
        out(0x3C2, mode.misc);
        for (unsigned i = 0; i < mode.sequencer.size(); ++i)
            sequencer(i + 1, mode.sequencer[i]);
        crtc(0x11, 0);
        for (unsigned i = 0; i < mode.crtc.size(); ++i)
            crtc(i, mode.crtc[i]);
        for (unsigned i = 0; i < mode.graphics.size(); ++i)
            graphics(i, mode.graphics[i]);
        for (unsigned i = 0; i < mode.attribute.size(); ++i)
            attribute(i, mode.attribute[i]);
        for (unsigned i = 0; i < 256; ++i)
            colour(i, i & 0x3F, i >> 2 & 0x3F, i >> 4 & 0x0F);
        screen_on();
    }

    uint64_t read(uint64_t offset, unsigned size = 1) {
        uint64_t value = 0;
        (void)vga.window().mmio_read(offset, size, value);
        return value;
    }
    void write(uint64_t offset, uint64_t value, unsigned size = 1) {
        (void)vga.window().mmio_write(offset, size, value);
    }
    void place_bars() {
        vga.set_bar_address(0, kFramebuffer);
        vga.set_bar_address(2, kRegisters);
        vga.enable_decoding();
    }

    FakeClock clock;
    FakeBarMapper mapper;
    std::unique_ptr<std::byte[]> storage;
    std::span<std::byte> memory;
    Vga vga;
};

namespace vga_modes {

// IBM Personal System/2 and Personal Computer BIOS interface technical reference.
inline const std::vector<uint8_t> kSixteenColours{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                                  0x07, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D,
                                                  0x3E, 0x3F, 0x01, 0x00, 0x0F, 0x00, 0x00};
inline const VgaBoard::Mode kText{
    0x67,
    {0x00, 0x03, 0x00, 0x02},
    {0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0x00,
     0x00, 0x00, 0x00, 0x9C, 0x0E, 0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF},
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3A,
     0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0x0C, 0x00, 0x0F, 0x08, 0x00},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0E, 0x00, 0xFF}};
inline const VgaBoard::Mode kCga4{
    0x63,
    {0x09, 0x03, 0x00, 0x02},
    {0x2D, 0x27, 0x28, 0x90, 0x2B, 0x80, 0xBF, 0x1F, 0x00, 0xC1, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9C, 0x0E, 0x8F, 0x14, 0x00, 0x96, 0xB9, 0xA2, 0xFF},
    kSixteenColours,
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0F, 0x0F, 0xFF}};
inline const VgaBoard::Mode kPlanar640x480{
    0xE3,
    {0x01, 0x0F, 0x00, 0x06},
    {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0x0B, 0x3E, 0x00, 0x40, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0xEA, 0x0C, 0xDF, 0x28, 0x00, 0xE7, 0x04, 0xE3, 0xFF},
    kSixteenColours,
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0F, 0xFF}};
inline const VgaBoard::Mode kMode13h{
    0x63,
    {0x01, 0x0F, 0x00, 0x0E},
    {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0x00, 0x41, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9C, 0x0E, 0x8F, 0x28, 0x40, 0x96, 0xB9, 0xA3, 0xFF},
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A,
     0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x41, 0x00, 0x0F, 0x00, 0x00},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0F, 0xFF}};

}  // namespace vga_modes

}  // namespace banyan
