#include "devices/chipset/dma8237.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using DmaBytes = std::vector<std::byte>;

constexpr uint8_t kDmaVerify = 0x40;  // single mode
constexpr uint8_t kDmaWrite = 0x44;   // to memory
constexpr uint8_t kDmaRead = 0x48;    // from memory
constexpr uint8_t kDmaAuto = 0x10;
constexpr uint8_t kDmaDown = 0x20;

struct DmaBoard {
    FakeRam ram{32 * kPageSize};  // 128 KiB
    Dma8237Pair dma{{ram.memory()}};

    DmaBoard() { dma.set_up_cascade(); }

    void out(uint16_t port, unsigned value) {
        EXPECT_EQ(dma.port_write(port, 1, value), IoStatus::ok);
    }
    uint8_t in(uint16_t port) {
        uint32_t value = 0;
        EXPECT_EQ(dma.port_read(port, 1, value), IoStatus::ok);
        return static_cast<uint8_t>(value);
    }
    // Channel 2, as floppy drivers program it: mask, flip-flop, mode, address, page, count, unmask.
    void program(uint8_t mode, unsigned address, unsigned count, uint8_t page = 0) {
        out(0x0A, 6);
        out(0x0C, 0);
        out(0x0B, mode | 2U);
        out(0x04, address & 0xFF);
        out(0x04, address >> 8);
        out(0x81, page);
        out(0x05, count & 0xFF);
        out(0x05, count >> 8);
        out(0x0A, 2);
    }
    unsigned word(uint16_t port) {
        out(0x0C, 0);
        const unsigned low = in(port);
        return low | static_cast<unsigned>(in(port)) << 8;
    }
    DmaBytes memory(uint64_t at, size_t length) {
        DmaBytes bytes(length);
        EXPECT_TRUE(ram.memory().read(Gpa{at}, bytes));
        return bytes;
    }
};

DmaBytes pattern(size_t length) {
    DmaBytes bytes(length);
    for (size_t i = 0; i < length; ++i)
        bytes[i] = static_cast<std::byte>(i + 1);
    return bytes;
}

TEST(Dma8237, WritesMemoryUntilTerminalCount) {
    DmaBoard b;
    b.program(kDmaWrite, 0x1234, 7);

    const DmaMoved first = b.dma.from_device(2, pattern(5));
    EXPECT_EQ(first.bytes, 5U);
    EXPECT_FALSE(first.terminal_count);
    EXPECT_EQ(b.word(0x04), 0x1239U);
    EXPECT_EQ(b.word(0x05), 2U);

    const DmaMoved second = b.dma.from_device(2, pattern(5));
    EXPECT_EQ(second.bytes, 3U) << "the count is of transfers less one";
    EXPECT_TRUE(second.terminal_count);
    EXPECT_EQ(b.memory(0x1234, 5), pattern(5));
    EXPECT_EQ(b.memory(0x1239, 3), pattern(3));
    EXPECT_EQ(b.word(0x05), 0xFFFFU) << "\"from zero to FFFFH\"";
}

TEST(Dma8237, StatusTellsOfTerminalCountOnce) {
    DmaBoard b;
    b.program(kDmaWrite, 0, 0);
    (void)b.dma.from_device(2, pattern(1));

    EXPECT_EQ(b.in(0x08), 0x04);
    EXPECT_EQ(b.in(0x08), 0x00);
    EXPECT_EQ(b.in(0x0F), 0xFF) << "without autoinitialize, the end masks the channel";
    EXPECT_EQ(b.dma.from_device(2, pattern(1)).bytes, 0U);
}

TEST(Dma8237, AutoInitializeStartsAnew) {
    DmaBoard b;
    b.program(kDmaWrite | kDmaAuto, 0x100, 3);

    EXPECT_TRUE(b.dma.from_device(2, pattern(4)).terminal_count);
    EXPECT_EQ(b.word(0x04), 0x100U);
    EXPECT_EQ(b.word(0x05), 3U);
    EXPECT_EQ(b.dma.from_device(2, pattern(2)).bytes, 2U);
}

TEST(Dma8237, ReadsMemoryWithPage) {
    DmaBoard b;
    ASSERT_TRUE(b.ram.memory().write(Gpa{0x1FF00}, pattern(16)));
    b.program(kDmaRead, 0xFF00, 15, 1);

    DmaBytes to(16);
    EXPECT_TRUE(b.dma.to_device(2, to).terminal_count);
    EXPECT_EQ(to, pattern(16));
    EXPECT_EQ(b.in(0x81), 1);
}

TEST(Dma8237, AddressWrapsWithinItsPage) {
    DmaBoard b;
    b.program(kDmaWrite, 0xFFFE, 3);

    EXPECT_EQ(b.dma.from_device(2, pattern(4)).bytes, 4U);
    EXPECT_EQ(b.memory(0xFFFE, 2), (DmaBytes{std::byte{1}, std::byte{2}}));
    EXPECT_EQ(b.memory(0, 2), (DmaBytes{std::byte{3}, std::byte{4}}));
}

TEST(Dma8237, AddressMayDescend) {
    DmaBoard b;
    b.program(kDmaWrite | kDmaDown, 0x203, 3);

    EXPECT_TRUE(b.dma.from_device(2, pattern(4)).terminal_count);
    EXPECT_EQ(b.memory(0x200, 4),
              (DmaBytes{std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}}));
}

TEST(Dma8237, VerifyAndTheWrongDirectionMoveNothing) {
    DmaBoard b;
    for (const uint8_t mode : {kDmaVerify, kDmaRead}) {
        b.program(mode, 0x300, 3);
        const DmaMoved moved = b.dma.from_device(2, pattern(4));
        EXPECT_EQ(moved.bytes, 4U);
        EXPECT_TRUE(moved.terminal_count);
        EXPECT_EQ(b.memory(0x300, 4), DmaBytes(4));
    }
}

TEST(Dma8237, MaskDisableAndCascadeHoldAChannel) {
    DmaBoard b;
    b.program(kDmaWrite, 0, 100);
    const auto moves = [&] { return b.dma.from_device(2, pattern(1)).bytes == 1; };

    EXPECT_TRUE(moves());
    b.out(0x0A, 6);
    EXPECT_FALSE(moves()) << "masked";
    b.out(0x0E, 0);
    EXPECT_TRUE(moves()) << "clear mask register";
    b.out(0x0F, 0x04);
    EXPECT_FALSE(moves()) << "write all mask bits";
    b.out(0x0F, 0);
    b.out(0x08, 4);
    EXPECT_FALSE(moves()) << "controller disabled";
    b.out(0x08, 0);
    b.out(0xD4, 4);
    EXPECT_FALSE(moves()) << "channel 4 is the way to the CPU";
    b.out(0xD4, 0);
    EXPECT_TRUE(moves());
    b.out(0x0B, 0xC2);
    EXPECT_FALSE(moves()) << "a channel in cascade mode has no transfers of its own";
}

TEST(Dma8237, MasterClearMasksAll) {
    DmaBoard b;
    b.program(kDmaWrite, 0x55AA, 0x1234);
    (void)b.in(0x04);
    b.out(0x0D, 0);

    EXPECT_EQ(b.in(0x0F), 0xFF);
    EXPECT_EQ(b.in(0x04), 0xAA) << "the flip-flop is cleared, addresses stay";
}

TEST(Dma8237, SixteenBitChannelsCountWords) {
    DmaBoard b;
    b.out(0xD8, 0);
    b.out(0xD6, kDmaWrite | 1U);  // channel 5
    b.out(0xC4, 0x00);
    b.out(0xC4, 0x81);  // word 8100h is byte 10200h
    b.out(0x8B, 0x01);  // bit 0 counts for nothing
    b.out(0xC6, 1);
    b.out(0xC6, 0);
    b.out(0xD4, 1);

    const DmaMoved moved = b.dma.from_device(5, pattern(5));
    EXPECT_EQ(moved.bytes, 4U);
    EXPECT_TRUE(moved.terminal_count);
    EXPECT_EQ(b.memory(0x10200, 4), pattern(4));
    EXPECT_EQ(b.in(0xD0), 0x02);
}

TEST(Dma8237, RequestsBySoftwareShowInTheStatus) {
    DmaBoard b;
    b.out(0x09, 4 | 1);
    EXPECT_EQ(b.in(0x08), 0x20);
    b.out(0x09, 1);
    EXPECT_EQ(b.in(0x08), 0x00);
}

TEST(Dma8237, BytesWithoutRamVanish) {
    DmaBoard b;
    b.program(kDmaRead, 0, 3, 0x40);
    DmaBytes to(4);
    EXPECT_TRUE(b.dma.to_device(2, to).terminal_count);
    EXPECT_EQ(to, DmaBytes(4, std::byte{0xFF}));
    b.program(kDmaWrite, 0, 3, 0x40);
    EXPECT_TRUE(b.dma.from_device(2, pattern(4)).terminal_count);
}

TEST(Dma8237, SavedState) {
    FakeRam ram(kPageSize);
    check_saved_state(
        [&] { return std::make_unique<Dma8237Pair>(Dma8237Pair::Wiring{ram.memory()}); },
        [](Dma8237Pair& dma) {
            dma.set_up_cascade();
            dma.port_write(0x0B, 1, kDmaWrite | 2U);
            dma.port_write(0x04, 1, 0x12);
            dma.port_write(0x81, 1, 0x34);
            dma.port_write(0x0E, 1, 0);
            dma.port_write(0xD2, 1, 5);
        });
}

}  // namespace
}  // namespace banyan
