#include "machine/io_bus.hpp"

#include <array>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace banyan {
namespace {

struct Access {
    uint64_t at;
    unsigned size;
    uint64_t value;
    friend bool operator==(const Access&, const Access&) = default;
};

// Remembers what reaches it; reads give the offset in every byte.
class RecordingDevice : public Device, public PortIo, public MmioIo {
public:
    explicit RecordingDevice(unsigned widest = 8, PortRange range = {})
        : widest_(widest), range_{range} {}

    std::string_view name() const override { return "recorder"; }
    void reset() override {}
    void save(StateWriter&) const override {}
    Result<void> restore(StateReader&) override { return {}; }
    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override { return range_; }

    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override {
        uint64_t wide = 0;
        const IoStatus status = mmio_read(port, size, wide);
        value = static_cast<uint32_t>(wide);
        return status;
    }
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override {
        return mmio_write(port, size, value);
    }
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override {
        if (size > widest_) return IoStatus::bad_size;
        reads.push_back({offset, size, 0});
        value = 0;
        for (unsigned i = 8; i-- > 0;)
            value = (value << 8) | ((offset + i) & 0xFF);  // more than was asked for
        return IoStatus::ok;
    }
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override {
        if (size > widest_) return IoStatus::bad_size;
        writes.push_back({offset, size, value});
        return IoStatus::ok;
    }

    std::vector<Access> reads;
    std::vector<Access> writes;

private:
    unsigned widest_;
    std::array<PortRange, 1> range_;
};

struct OnSlot {
    explicit OnSlot(unsigned widest = 8, PortRange range = {}) : device(widest, range) {
        slot.set_device(device);
    }
    RecordingDevice device;
    DeviceSlot slot;
};

TEST(PortBus, GivesAllOnesWhereNobodyAnswers) {
    PortBus bus;
    EXPECT_EQ(bus.read(0x80, 1), 0xFFU);
    EXPECT_EQ(bus.read(0x80, 2), 0xFFFFU);
    EXPECT_EQ(bus.read(0xFFFF, 4), 0xFFFFFFFFU);
    bus.write(0x80, 4, 1);  // vanishes
}

TEST(PortBus, FindsTheDeviceAndCutsTheValue) {
    PortBus bus;
    OnSlot chip(4, {0x3F8, 8});
    bus.add_device(chip.slot);

    EXPECT_EQ(bus.read(0x3F8, 1), 0xF8U);
    EXPECT_EQ(bus.read(0x3FF, 1), 0xFFU);
    bus.write(0x3FA, 2, 0xABCD1234);

    EXPECT_EQ(chip.device.writes, (std::vector<Access>{{0x3FA, 2, 0x1234}}));
    EXPECT_EQ(bus.read(0x400, 1), 0xFFU);
    EXPECT_EQ(chip.device.reads.size(), 2U);
}

TEST(PortBus, SplitsForAnEightBitChip) {
    PortBus bus;
    OnSlot chip(1, {0x40, 4});
    bus.add_device(chip.slot);

    EXPECT_EQ(bus.read(0x40, 4), 0x43424140U);
    bus.write(0x42, 2, 0xBBAA);

    EXPECT_EQ(chip.device.writes, (std::vector<Access>{{0x42, 1, 0xAA}, {0x43, 1, 0xBB}}));
}

TEST(PortBus, SplitsOverTheEndOfARange) {
    PortBus bus;
    OnSlot chip(1, {0x60, 1});
    bus.add_device(chip.slot);
    EXPECT_EQ(bus.read(0x60, 2), 0xFF60U);
    EXPECT_EQ(bus.read(0x5F, 2), 0x60FFU);
}

TEST(PortBus, AsksTheChipAtTheFirstPortForTheWholeAccess) {
    PortBus bus;
    OnSlot pci(4, {0xCF8, 1});
    bus.add_device(pci.slot);
    bus.write(0xCF8, 4, 0x80000800);
    EXPECT_EQ(pci.device.writes, (std::vector<Access>{{0xCF8, 4, 0x80000800}}));
}

TEST(PortBus, LaterRangesLieOnTop) {
    PortBus bus;
    OnSlot pci(4, {0xCF8, 8});
    OnSlot reset(1, {0xCF9, 1});
    bus.add_device(pci.slot);
    bus.add_device(reset.slot);

    bus.write(0xCF8, 4, 0x80000000);
    bus.write(0xCF9, 1, 6);

    EXPECT_EQ(pci.device.writes, (std::vector<Access>{{0xCF8, 4, 0x80000000}}));
    EXPECT_EQ(reset.device.writes, (std::vector<Access>{{0xCF9, 1, 6}}));
}

TEST(MmioBus, GivesAllOnesWhereNobodyAnswers) {
    MmioBus bus;
    EXPECT_EQ(bus.read({0xFED00000}, 4), 0xFFFFFFFFU);
    EXPECT_EQ(bus.read({0xFED00000}, 8), ~uint64_t{0});
    EXPECT_EQ(bus.read({0xFED00001}, 3), 0xFFFFFFU);
    bus.write({0xFED00000}, 8, 1);
}

TEST(MmioBus, SplitsOddAndUnalignedAccesses) {
    MmioBus bus;
    OnSlot chip;
    bus.add(chip.slot, chip.device, 0x1000).map({0x10000});

    EXPECT_EQ(bus.read({0x10001}, 7), 0x07060504030201U);
    bus.write({0x10003}, 4, 0xDDCCBBAA);

    EXPECT_EQ(chip.device.reads, (std::vector<Access>{{1, 1, 0}, {2, 2, 0}, {4, 4, 0}}));
    EXPECT_EQ(chip.device.writes,
              (std::vector<Access>{{3, 1, 0xAA}, {4, 2, 0xCCBB}, {6, 1, 0xDD}}));
}

TEST(MmioBus, MakesTwoOfEightBytesForANarrowChip) {
    MmioBus bus;
    OnSlot chip(4);
    bus.add(chip.slot, chip.device, 0x1000).map({0x10000});

    EXPECT_EQ(bus.read({0x10008}, 8), 0x0F0E0D0C0B0A0908U);
    bus.write({0x10010}, 8, 0x1122334455667788);

    EXPECT_EQ(chip.device.writes,
              (std::vector<Access>{{0x10, 4, 0x55667788}, {0x14, 4, 0x11223344}}));
}

TEST(MmioBus, FollowsAWindowThatMoves) {
    MmioBus bus;
    OnSlot chip;
    MmioWindow& window = bus.add(chip.slot, chip.device, 0x1000);
    EXPECT_EQ(bus.read({0}, 1), 0xFFU) << "a new window is nowhere";

    window.map({0x10000});
    EXPECT_EQ(bus.read({0x10005}, 1), 5U);
    window.map({0x20000});
    EXPECT_EQ(bus.read({0x10005}, 1), 0xFFU);
    EXPECT_EQ(bus.read({0x20005}, 1), 5U);
    window.unmap();
    EXPECT_EQ(bus.read({0x20005}, 1), 0xFFU);
}

TEST(MmioBus, EarlierWindowsWin) {
    MmioBus bus;
    OnSlot fixed;
    OnSlot bar;
    bus.add(fixed.slot, fixed.device, 0x1000).map({0xFEC00000});
    bus.add(bar.slot, bar.device, 0x1000).map({0xFEC00000});
    bus.write({0xFEC00010}, 4, 7);
    EXPECT_EQ(fixed.device.writes.size(), 1U);
    EXPECT_TRUE(bar.device.writes.empty());
}

// Moves while others read: each read sees the device or nobody, and the sanitizer no race.
TEST(MmioBus, MayMoveWhileOthersRead) {
    MmioBus bus;
    OnSlot chip;
    MmioWindow& window = bus.add(chip.slot, chip.device, 0x1000);
    std::thread reader([&] {
        for (int i = 0; i < 2000; ++i) {
            const uint64_t value = bus.read({0x10005}, 1);
            EXPECT_TRUE(value == 5 || value == 0xFF);
        }
    });
    for (int i = 0; i < 2000; ++i) {
        window.map({0x10000});
        window.unmap();
    }
    reader.join();
}

}  // namespace
}  // namespace banyan
