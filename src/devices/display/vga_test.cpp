#include "devices/display/vga.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <numeric>

#include "devices/display/testing/vga_board.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

TEST(Vga, IsThePciFunctionThatDriversKnow) {
    VgaBoard b(Vga::kMemorySize);
    EXPECT_EQ(b.vga.config_read(0x00, 4), 0x11111234U);
    EXPECT_EQ(b.vga.config_read(0x08, 4) >> 8, 0x030000U);
    b.vga.config_write(0x10, 4, ~0U);
    b.vga.config_write(0x18, 4, ~0U);
    EXPECT_EQ(b.vga.config_read(0x10, 4), 0xFF000008U) << "16 MiB, prefetchable";
    EXPECT_EQ(b.vga.config_read(0x18, 4), 0xFFFFF000U);
    EXPECT_EQ(b.vga.config_read(0x30, 4), 0U) << "no ROM was given";
    b.vga.config_write(0x04, 2, 3);
    EXPECT_EQ(b.vga.config_read(0x04, 2), 3U) << "it answers at ports, too";
}

TEST(Vga, RomIsReadWhereItIsPlacedAndEnabled) {
    const std::vector<std::byte> rom(3000, std::byte{0x5A});
    VgaBoard b(1 << 20, rom);
    b.vga.config_write(0x30, 4, ~0U);
    EXPECT_EQ(b.vga.config_read(0x30, 4), 0xFFFFF001U);
    b.vga.config_write(0x30, 4, 0xE2000000);
    b.vga.config_write(0x04, 2, 2);
    EXPECT_EQ(b.mapper.find(b.vga, pci::kRomBar), nullptr) << "not enabled";
    b.vga.config_write(0x30, 4, 0xE2000001);
    EXPECT_EQ(b.mapper.read(0xE2000000, 4), 0x5A5A5A5AU);
    EXPECT_EQ(b.mapper.read(0xE2000000 + 2998, 4), 0xFFFF5A5AU);
}

TEST(Vga, RegistersAreBehindIndices) {
    VgaBoard b;
    b.out(0x3C2, 0x67);
    EXPECT_EQ(b.in(0x3CC), 0x67);
    b.sequencer(2, 0xFF);
    EXPECT_EQ(b.in_indexed(0x3C4, 2), 0x0F) << "four planes";
    b.graphics(8, 0xA5);
    EXPECT_EQ(b.in_indexed(0x3CE, 8), 0xA5);
    b.crtc(0x0F, 0x42);
    EXPECT_EQ(b.in_indexed(0x3D4, 0x0F), 0x42);
    EXPECT_EQ(b.in_indexed(0x3D4, 0x77), 0) << "no such register";
}

TEST(Vga, CrtcIsAtTheAddressOfTheMode) {
    VgaBoard b;
    b.out(0x3C2, 0x66);
    b.out_indexed(0x3B4, 0x0F, 0x42);
    EXPECT_EQ(b.in_indexed(0x3B4, 0x0F), 0x42);
    EXPECT_EQ(b.in(0x3D5), 0xFF) << "nobody answers there";
    b.out(0x3C2, 0x67);
    EXPECT_EQ(b.in_indexed(0x3D4, 0x0F), 0x42);
    EXPECT_EQ(b.in(0x3B5), 0xFF);
}

TEST(Vga, ProtectedCrtcKeepsItsTiming) {
    VgaBoard b;
    b.out(0x3C2, 0x67);
    b.crtc(0x00, 0x5F);
    b.crtc(0x07, 0x0F);
    b.crtc(0x11, 0x8E);
    b.crtc(0x00, 0x11);
    b.crtc(0x07, 0xF0);
    EXPECT_EQ(b.in_indexed(0x3D4, 0x00), 0x5F);
    EXPECT_EQ(b.in_indexed(0x3D4, 0x07), 0x1F) << "bit 8 of line compare is not protected";
}

TEST(Vga, AttributeControllerTakesIndexAndDataInTurn) {
    VgaBoard b;
    b.out(0x3C2, 0x67);
    b.attribute(0x01, 0x2A);
    b.attribute(0x10, 0x0C);
    (void)b.in(0x3DA);
    b.out(0x3C0, 0x01);
    EXPECT_EQ(b.in(0x3C1), 0x2A);
    b.attribute(0x21, 0x15);
    EXPECT_EQ(b.in(0x3C1), 0x2A) << "the palette belongs to the screen";
    EXPECT_EQ(b.in(0x3C0), 0x21);
}

TEST(Vga, DacCountsThroughColours) {
    VgaBoard b;
    b.colour(5, 0x3F, 0x20, 0xFF);
    b.out(0x3C9, 1);
    b.out(0x3C9, 2);
    b.out(0x3C9, 3);
    EXPECT_EQ(b.in(0x3C7), 0);
    b.out(0x3C7, 5);
    EXPECT_EQ(b.in(0x3C7), 3);
    const std::vector<unsigned> expected{0x3F, 0x20, 0x3F, 1, 2, 3};
    for (const unsigned value : expected)
        EXPECT_EQ(b.in(0x3C9), value);
    EXPECT_EQ(b.in(0x3C6), 0xFF);
}

TEST(Vga, RetraceFollowsTheClock) {
    VgaBoard b;
    b.set_mode(vga_modes::kText);
    unsigned retraces = 0;
    uint8_t last = 0;
    bool disabled_in_retrace = true;
    for (unsigned step = 0; step < 70 * 1427; ++step) {  // 70 frames in steps of 10 us
        b.clock.advance(10'000);
        const uint8_t now = b.in(0x3DA);
        if ((now & 8) != 0 && (now & 1) == 0) disabled_in_retrace = false;
        retraces += (now & ~last & 8) != 0 ? 1 : 0;
        last = now;
    }
    EXPECT_NEAR(retraces, 70, 1);
    EXPECT_TRUE(disabled_in_retrace);
}

TEST(Vga, PortsAreBytes) {
    VgaBoard b;
    uint32_t value = 0;
    EXPECT_EQ(b.vga.pio()->port_read(0x3C4, 2, value), IoStatus::bad_size);
    EXPECT_EQ(b.vga.pio()->port_write(0x3CE, 2, 0xFF08), IoStatus::bad_size);
    EXPECT_EQ(b.vga.pio()->port_write(0x1CE, 1, 0), IoStatus::no_register);
}

// A mode in which the planes are seen as they are.
struct PlanarBoard : VgaBoard {
    PlanarBoard() { set_mode(vga_modes::kPlanar640x480); }
    std::vector<unsigned> planes(size_t offset) const {
        std::vector<unsigned> bytes;
        for (size_t plane = 0; plane < 4; ++plane)
            bytes.push_back(std::to_integer<unsigned>(memory[offset * 4 + plane]));
        return bytes;
    }
    void fill(size_t offset, std::vector<unsigned> bytes) {
        for (size_t plane = 0; plane < 4; ++plane)
            memory[offset * 4 + plane] = static_cast<std::byte>(bytes[plane]);
    }
};
using Planes = std::vector<unsigned>;

TEST(VgaMemory, MapMaskChoosesPlanes) {
    PlanarBoard b;
    b.sequencer(2, 0x05);
    b.write(0x10, 0xC3);
    EXPECT_EQ(b.planes(0x10), (Planes{0xC3, 0, 0xC3, 0}));
}

TEST(VgaMemory, WriteMode0RotatesSetsAndMasks) {
    PlanarBoard b;
    b.fill(0x20, {0xFF, 0x00, 0xFF, 0x00});
    (void)b.read(0x20);
    b.graphics(3, 0x04);  // rotate by 4
    b.graphics(1, 0x02);  // plane 1 from set/reset
    b.graphics(0, 0x02);
    b.graphics(8, 0xF0);
    b.write(0x20, 0x0A);
    EXPECT_EQ(b.planes(0x20), (Planes{0xAF, 0xF0, 0xAF, 0xA0}));
}

TEST(VgaMemory, LogicalFunctions) {
    const unsigned latch = 0xCC;
    const unsigned data = 0xAA;
    const Planes expected{data, data & latch, data | latch, data ^ latch};
    for (unsigned function = 0; function < 4; ++function) {
        PlanarBoard b;
        b.fill(0x30, {latch, latch, latch, latch});
        (void)b.read(0x30);
        b.graphics(3, function << 3);
        b.write(0x30, data);
        EXPECT_EQ(b.planes(0x30)[0], expected[function]) << function;
    }
}

TEST(VgaMemory, WriteMode1CopiesLatches) {
    PlanarBoard b;
    b.fill(0x40, {1, 2, 3, 4});
    (void)b.read(0x40);
    b.graphics(5, 1);
    b.graphics(8, 0x0F);
    b.write(0x50, 0xFF);
    EXPECT_EQ(b.planes(0x50), (Planes{1, 2, 3, 4}));
}

TEST(VgaMemory, WriteMode2ExpandsAColour) {
    PlanarBoard b;
    b.graphics(5, 2);
    b.graphics(8, 0x81);
    b.write(0x60, 0x09);
    EXPECT_EQ(b.planes(0x60), (Planes{0x81, 0, 0, 0x81}));
}

TEST(VgaMemory, WriteMode3MasksByData) {
    PlanarBoard b;
    b.graphics(5, 3);
    b.graphics(0, 0x06);
    b.graphics(3, 0x01);
    b.graphics(8, 0xF0);
    b.write(0x70, 0x61);  // rotated: 0xB0
    EXPECT_EQ(b.planes(0x70), (Planes{0, 0xB0, 0xB0, 0}));
}

TEST(VgaMemory, ReadModes) {
    PlanarBoard b;
    b.fill(0x80, {0xF0, 0xCC, 0xAA, 0x00});
    b.graphics(4, 2);
    EXPECT_EQ(b.read(0x80), 0xAAU);
    b.graphics(5, 0x08);
    b.graphics(2, 0x03);  // planes 0 and 1 set, 2 and 3 not
    b.graphics(7, 0x0F);
    EXPECT_EQ(b.read(0x80), 0xC0U & 0x55U);
    b.graphics(7, 0x03);
    EXPECT_EQ(b.read(0x80), 0xC0U);
    b.graphics(7, 0x00);
    EXPECT_EQ(b.read(0x80), 0xFFU);
}

TEST(VgaMemory, OddAndEvenBytesOfTextGoToTwoPlanes) {
    VgaBoard b;
    b.set_mode(vga_modes::kText);
    b.write(0x18000, 0x1741, 2);
    b.write(0x18002, 0x42);
    EXPECT_EQ(std::to_integer<char>(b.memory[0]), 'A');
    EXPECT_EQ(std::to_integer<int>(b.memory[1]), 0x17);
    EXPECT_EQ(std::to_integer<char>(b.memory[2 * 4]), 'B');
    EXPECT_EQ(b.read(0x18000, 4), 0x00421741U);
    EXPECT_EQ(b.read(0), 0xFFU) << "nothing is mapped at A0000h";
}

TEST(VgaMemory, Chain4PutsBytesIntoPlanesInTurn) {
    VgaBoard b;
    b.set_mode(vga_modes::kMode13h);
    b.write(0x100, 0x44332211, 4);
    EXPECT_EQ(b.read(0x102), 0x33U);
    b.sequencer(4, 0x06);
    for (unsigned plane = 0; plane < 4; ++plane) {
        b.graphics(4, plane);
        EXPECT_EQ(b.read(0x100), 0x11U * (plane + 1)) << plane;
    }
}

TEST(VgaMemory, RamCanBeSwitchedOff) {
    PlanarBoard b;
    b.out(0x3C2, 0xE1);
    b.write(0, 0x12);
    EXPECT_EQ(b.read(0), 0xFFU);
    EXPECT_EQ(b.planes(0), (Planes{0, 0, 0, 0}));
}

TEST(VgaDispi, TellsWhatItHas) {
    VgaBoard b(Vga::kMemorySize);
    EXPECT_EQ(b.dispi(0), 0xB0C5);
    b.dispi(0, 0xB0C2);
    EXPECT_EQ(b.dispi(0), 0xB0C2);
    b.dispi(0, 0x1234);
    EXPECT_EQ(b.dispi(0), 0xB0C2);
    EXPECT_EQ(b.dispi(10), 256);
    b.dispi(4, 2);
    EXPECT_EQ(b.dispi(1), 2560);
    EXPECT_EQ(b.dispi(2), 1600);
    EXPECT_EQ(b.dispi(3), 32);
}

TEST(VgaDispi, EnablingClearsAndSetsTheVirtualScreen) {
    VgaBoard b;
    b.memory[5] = std::byte{1};
    b.set_dispi_mode(640, 200, 32);
    EXPECT_EQ(b.memory[5], std::byte{0});
    EXPECT_EQ(b.dispi(6), 640);
    EXPECT_EQ(b.dispi(7), (1 << 20) / (640 * 4));
    b.memory[5] = std::byte{1};
    b.set_dispi_mode(640, 200, 32, 0xC1);
    EXPECT_EQ(b.memory[5], std::byte{1});
}

TEST(VgaDispi, BanksMoveTheWindow) {
    VgaBoard b;
    b.set_dispi_mode(640, 400, 8);
    b.dispi(5, 3);
    b.write(0x1234, 0x77);
    EXPECT_EQ(b.memory[0x31234], std::byte{0x77});
    EXPECT_EQ(b.read(0x1234), 0x77U);
    b.dispi(5, 16);
    EXPECT_EQ(b.dispi(5), 3) << "there is no such bank";
}

TEST(VgaBars, FramebufferIsTheMemory) {
    VgaBoard b;
    b.place_bars();
    ASSERT_NE(b.mapper.find(b.vga, 0), nullptr);
    EXPECT_EQ(b.mapper.find(b.vga, 0)->start, VgaBoard::kFramebuffer);
    EXPECT_EQ(b.vga.bars()[0].ram.data(), b.memory.data());
    EXPECT_EQ(b.vga.bars()[0].ram.size(), b.memory.size());
}

TEST(VgaBars, RegistersAreInTheSecond) {
    VgaBoard b;
    b.place_bars();
    constexpr uint64_t kBar = VgaBoard::kRegisters;
    unsigned sum = 0;
    for (unsigned i = 0; i < 128; ++i)
        sum += static_cast<unsigned>(b.mapper.read(kBar + i, 1));
    EXPECT_EQ(sum % 256, 0U) << "the EDID's checksum";
    EXPECT_EQ(b.mapper.read(kBar, 8), 0x00FFFFFFFFFFFF00U);
    (void)b.mapper.write(kBar + 0x402, 1, 0x67);  // 3C2h
    EXPECT_EQ(b.in(0x3CC), 0x67);
    (void)b.mapper.write(kBar + 0x404, 2, 0x0302);  // sequencer 2
    EXPECT_EQ(b.in_indexed(0x3C4, 2), 3);
    (void)b.mapper.write(kBar + 0x502, 2, 800);
    EXPECT_EQ(b.dispi(1), 800);
    EXPECT_EQ(b.mapper.read(kBar + 0x514, 2), 16U);
    EXPECT_EQ(b.mapper.read(kBar + 0x600, 4), 8U);
    EXPECT_EQ(b.mapper.read(kBar + 0x604, 4), 0x1E1E1E1EU);
}

TEST(Vga, SavesItsState) {
    std::vector<std::weak_ptr<VgaBoard>> boards;
    const auto make = [&] {
        auto board = std::make_shared<VgaBoard>(256 << 10);
        boards.push_back(board);
        return std::shared_ptr<Vga>(board, &board->vga);
    };
    const auto use = [&](Vga&) {
        VgaBoard& b = *boards[1].lock();
        b.set_mode(vga_modes::kPlanar640x480);
        b.write(0x5000, 0xA5);
        (void)b.read(0x5000);
        b.dispi(1, 640);
        b.place_bars();
    };
    check_saved_state(make, use);
}

TEST(Vga, ImpossibleStateIsRefused) {
    VgaBoard b;
    VgaStateV1 state;
    state.registers.dac_component = 3;
    StateWriter writer;
    b.vga.save(writer);
    writer.section(state);
    auto bytes = writer.take();
    // The first section of a kind counts: put the bad one in front.
    StateWriter bad;
    bad.section(state);
    auto front = bad.take();
    front.insert(front.end(), bytes.begin(), bytes.end());
    StateReader reader(front);
    EXPECT_FALSE(b.vga.restore(reader));
}

}  // namespace
}  // namespace banyan
