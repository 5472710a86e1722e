#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "devices/storage/floppy_controller.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using Bytes = std::vector<uint8_t>;

// The DMA controller's end: what was moved, up to a count.
class FakeDma final : public DmaSink {
public:
    DmaMoved from_device(unsigned channel, std::span<const std::byte> bytes) override {
        EXPECT_EQ(channel, 2U);
        const size_t moved = std::min({bytes.size(), left, at_once});
        for (const std::byte b : bytes.first(moved))
            memory.push_back(std::to_integer<uint8_t>(b));
        return count(moved);
    }
    DmaMoved to_device(unsigned channel, std::span<std::byte> bytes) override {
        EXPECT_EQ(channel, 2U);
        const size_t moved = std::min({bytes.size(), left, at_once});
        for (size_t i = 0; i < moved; ++i)
            bytes[i] = std::byte{memory.at(taken++)};
        return count(moved);
    }

    Bytes memory;
    size_t taken = 0;
    size_t left = 0;
    size_t at_once = 512;

private:
    DmaMoved count(size_t moved) {
        left -= moved;
        return {moved, moved != 0 && left == 0};
    }
};

constexpr uint64_t k1440 = 1440 * 1024;

struct FloppyBoard {
    explicit FloppyBoard(uint64_t size = k1440, bool read_only = false) : disk(size, read_only) {
        for (size_t i = 0; i < disk.bytes().size(); ++i)
            disk.bytes()[i] = static_cast<std::byte>(i / 512 + i % 7);
        floppy.insert(0, disk);
    }

    void out(uint16_t port, unsigned value) {
        EXPECT_EQ(floppy.port_write(port, 1, value), IoStatus::ok);
    }
    uint8_t in(uint16_t port) {
        uint32_t value = 0;
        EXPECT_EQ(floppy.port_read(port, 1, value), IoStatus::ok);
        return static_cast<uint8_t>(value);
    }
    void command(const Bytes& bytes) {
        for (const uint8_t byte : bytes) {
            EXPECT_EQ(in(0x3F4) & 0xC0, 0x80) << "the FIFO takes a byte";
            out(0x3F5, byte);
        }
    }
    Bytes result() {
        Bytes bytes;
        while ((in(0x3F4) & 0xD0) == 0xD0)
            bytes.push_back(in(0x3F5));
        return bytes;
    }
    Bytes ask(const Bytes& bytes) {
        command(bytes);
        return result();
    }
    void pass(uint64_t ns = 10'000'000) { timers.advance(ns); }
    // As a BIOS does it: reset, its four interrupts, SPECIFY, 500 kbit/s, and a seek away and back
    // that clears the change line.
    void start(uint8_t specify2 = 0x02) {
        out(0x3F2, 0x00);
        out(0x3F2, 0x1C);
        pass();
        for (unsigned i = 0; i < 4; ++i)
            EXPECT_EQ(ask({0x08}), (Bytes{static_cast<uint8_t>(0xC0 | i), 0}));
        command({0x03, 0xDF, specify2});
        out(0x3F7, 0);
        seek(1);
        command({0x07, 0});
        pass();
        EXPECT_EQ(ask({0x08}), (Bytes{0x20, 0}));
    }
    void seek(uint8_t cylinder, uint8_t head = 0) {
        command({0x0F, static_cast<uint8_t>(head << 2), cylinder});
        pass();
        EXPECT_EQ(ask({0x08}), (Bytes{static_cast<uint8_t>(0x20 | head << 2), cylinder}));
    }
    Bytes sectors(size_t first, size_t count) {
        Bytes bytes;
        for (size_t i = first * 512; i < (first + count) * 512; ++i)
            bytes.push_back(std::to_integer<uint8_t>(disk.bytes()[i]));
        return bytes;
    }

    FakeClock clock;
    FakeTimerService timers{clock};
    RecordingIrq irq;
    FakeDma dma;
    MemoryBlock disk;
    FloppyController floppy{{clock, timers, irq.line(), {dma, 2}}};
};

TEST(Floppy, ResetTellsOfFourDrivesByOneInterrupt) {
    FloppyBoard b;
    EXPECT_EQ(b.in(0x3F4), 0) << "held in reset after power-on";
    b.out(0x3F2, 0x0C);
    EXPECT_FALSE(b.irq.level()) << "not before the write is over";
    b.pass();
    EXPECT_TRUE(b.irq.level());
    for (unsigned i = 0; i < 4; ++i)
        EXPECT_EQ(b.ask({0x08}), (Bytes{static_cast<uint8_t>(0xC0 | i), 0}));
    EXPECT_FALSE(b.irq.level());
    EXPECT_EQ(b.ask({0x08}), Bytes{0x80}) << "nothing more to tell: an invalid command";
    EXPECT_EQ(b.irq.rises(), 1U);
}

TEST(Floppy, ResetByTheRateRegisterClearsItself) {
    FloppyBoard b;
    b.start();
    b.out(0x3F4, 0x82);
    b.pass();
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.ask({0x08}), (Bytes{0xC0, 0}));
}

TEST(Floppy, WithoutPollingResetIsSilent) {
    FloppyBoard b;
    b.start();
    b.command({0x13, 0, 0x57, 0});  // CONFIGURE: implied seek, no polling
    b.command({0x94});              // LOCK
    EXPECT_EQ(b.result(), Bytes{0x10});
    b.out(0x3F2, 0x08);
    b.out(0x3F2, 0x0C);
    b.pass();
    EXPECT_FALSE(b.irq.level());
}

TEST(Floppy, DmaGateHoldsTheInterrupt) {
    FloppyBoard b;
    b.out(0x3F2, 0x04);
    b.pass();
    EXPECT_FALSE(b.irq.level());
    b.out(0x3F2, 0x0C);
    EXPECT_TRUE(b.irq.level());
}

TEST(Floppy, ReadsSectorsUntilTerminalCount) {
    FloppyBoard b;
    b.start();
    b.seek(2, 1);
    b.dma.left = 3 * 512;
    b.command({0xE6, 4, 2, 1, 5, 2, 18, 27, 255});

    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.dma.memory, b.sectors((2 * 2 + 1) * 18 + 4, 3));
    EXPECT_EQ(b.result(), (Bytes{4, 0, 0, 2, 1, 8, 2}));
    EXPECT_FALSE(b.irq.level()) << "the first byte of the result takes it back";
}

TEST(Floppy, MultiTrackGoesOnAtTheOtherHead) {
    FloppyBoard b;
    b.start();
    b.dma.left = 4 * 512;
    b.command({0xE6, 0, 0, 0, 17, 2, 18, 27, 255});

    EXPECT_EQ(b.dma.memory, b.sectors(16, 4));
    EXPECT_EQ(b.result(), (Bytes{4, 0, 0, 0, 1, 3, 2}));
}

TEST(Floppy, EndOfTrackWithoutTerminalCountIsAnError) {
    FloppyBoard b;
    b.start();
    b.dma.left = 100 * 512;
    b.command({0x46, 0, 0, 0, 18, 2, 18, 27, 255});
    EXPECT_EQ(b.result(), (Bytes{0x40, 0x80, 0, 1, 0, 1, 2}));
}

TEST(Floppy, TerminalCountAtTheEndOfTrackIsGood) {
    FloppyBoard b;
    b.start();
    b.dma.left = 512;
    b.command({0x46, 0, 0, 0, 18, 2, 18, 27, 255});
    EXPECT_EQ(b.result(), (Bytes{0, 0, 0, 1, 0, 1, 2}));
}

TEST(Floppy, WrongIdsAreNotFound) {
    FloppyBoard b;
    b.start();
    b.dma.left = 512;
    EXPECT_EQ(b.ask({0x46, 0, 0, 0, 19, 2, 25, 27, 255}), (Bytes{0x40, 4, 0, 0, 0, 19, 2}));
    EXPECT_EQ(b.ask({0x46, 0, 3, 0, 1, 2, 18, 27, 255}), (Bytes{0x40, 4, 0x10, 3, 0, 1, 2}))
        << "the head is at another cylinder";
    EXPECT_EQ(b.ask({0x46, 0, 0, 0, 1, 3, 18, 27, 255}), (Bytes{0x40, 4, 0, 0, 0, 1, 2}))
        << "no sectors of 1024 bytes";
    b.out(0x3F7, 2);
    EXPECT_EQ(b.ask({0x46, 0, 0, 0, 1, 2, 18, 27, 255}), (Bytes{0x40, 1, 0, 0, 0, 1, 2}))
        << "at another data rate there are no marks";
    EXPECT_TRUE(b.dma.memory.empty());
}

TEST(Floppy, WritesAndFillsTheLastSector) {
    FloppyBoard b;
    b.start();
    b.seek(79);
    b.dma.memory.assign(700, 0xA5);
    b.dma.left = 700;
    b.command({0x45, 0, 79, 0, 3, 2, 18, 27, 255});

    EXPECT_EQ(b.result(), (Bytes{0, 0, 0, 79, 0, 5, 2}));
    Bytes expected(700, 0xA5);
    expected.resize(1024);
    EXPECT_EQ(b.sectors(79 * 36 + 2, 2), expected);
}

TEST(Floppy, WriteProtectedDiskRefuses) {
    FloppyBoard b(k1440, true);
    b.start();
    b.dma.memory.assign(512, 0);
    b.dma.left = 512;
    EXPECT_EQ(b.ask({0x45, 0, 0, 0, 1, 2, 18, 27, 255}), (Bytes{0x40, 2, 0, 0, 0, 1, 2}));
    EXPECT_EQ(b.ask({0x4D, 0, 2, 18, 84, 0xF6}), (Bytes{0x40, 2, 0, 0, 0, 0, 2}));
    EXPECT_EQ(b.ask({0x04, 0}), Bytes{0x78});
}

TEST(Floppy, FormatsATrack) {
    FloppyBoard b;
    b.start();
    b.seek(1);
    for (uint8_t sector = 1; sector <= 18; ++sector)
        b.dma.memory.insert(b.dma.memory.end(), {1, 0, sector, 2});
    b.dma.left = b.dma.memory.size();
    b.command({0x4D, 0, 2, 18, 84, 0xF6});

    EXPECT_EQ(b.result()[0], 0);
    EXPECT_EQ(b.sectors(36, 18), Bytes(18 * 512, 0xF6));
    EXPECT_NE(b.sectors(54, 1), Bytes(512, 0xF6));
}

TEST(Floppy, ReadIdTurnsWithTheDisk) {
    FloppyBoard b;
    b.start();
    b.seek(7);
    const Bytes first = b.ask({0x4A, 0});
    b.pass(200'000'000 / 18 + 1);
    const Bytes second = b.ask({0x4A, 0});

    EXPECT_EQ(first[0], 0);
    EXPECT_EQ(first[3], 7);
    EXPECT_EQ(second[5], first[5] % 18 + 1);
    b.out(0x3F7, 3);
    EXPECT_EQ(b.ask({0x4A, 0})[1], 1) << "missing address mark at 1 Mbit/s";
}

TEST(Floppy, ReadsWithoutDma) {
    FloppyBoard b;
    b.start(0x03);  // ND
    b.command({0x46, 0, 0, 0, 1, 2, 1, 27, 255});

    EXPECT_TRUE(b.irq.level());
    Bytes data;
    while ((b.in(0x3F4) & 0xF0) == 0xF0)
        data.push_back(b.in(0x3F5));
    EXPECT_EQ(data, b.sectors(0, 1));
    EXPECT_EQ(b.result(), (Bytes{0x40, 0x80, 0, 1, 0, 1, 2})) << "the CPU cannot give TC";
}

TEST(Floppy, WritesWithoutDma) {
    FloppyBoard b;
    b.start(0x03);
    b.command({0x45, 0, 0, 0, 2, 2, 2, 27, 255});
    for (unsigned i = 0; i < 512; ++i) {
        EXPECT_EQ(b.in(0x3F4) & 0xF0, 0xB0);
        b.out(0x3F5, 0x77);
    }
    EXPECT_EQ(b.result()[1], 0x80);
    EXPECT_EQ(b.sectors(1, 1), Bytes(512, 0x77));
}

TEST(Floppy, VerifyMovesNothing) {
    FloppyBoard b;
    b.start();
    EXPECT_EQ(b.ask({0xD6, 0x80, 0, 0, 1, 2, 18, 27, 4}), (Bytes{0, 0, 0, 0, 0, 5, 2}));
    EXPECT_EQ(b.ask({0x56, 0, 0, 0, 1, 2, 18, 27, 255}), (Bytes{0, 0, 0, 1, 0, 1, 2}));
    EXPECT_TRUE(b.dma.memory.empty());
}

TEST(Floppy, WaitsForAMaskedChannel) {
    FloppyBoard b;
    b.start();
    b.command({0x46, 0, 0, 0, 1, 2, 18, 27, 255});
    EXPECT_FALSE(b.irq.level());
    EXPECT_EQ(b.in(0x3F4), 0x10);
    b.dma.left = 512;
    b.pass();
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.dma.memory, b.sectors(0, 1));
}

TEST(Floppy, WaitsForTheDisk) {
    FloppyBoard b;
    b.start();
    b.disk.hold(true);
    b.dma.left = 1024;
    b.command({0x46, 0, 0, 0, 1, 2, 18, 27, 255});
    EXPECT_EQ(b.in(0x3F4), 0x10);
    EXPECT_TRUE(b.disk.complete_one());
    EXPECT_FALSE(b.irq.level());
    EXPECT_TRUE(b.disk.complete_one());
    EXPECT_TRUE(b.irq.level());
}

TEST(Floppy, ResetWhileTheDiskWorksForgetsTheCommand) {
    FloppyBoard b;
    b.start();
    b.disk.hold(true);
    b.dma.left = 512;
    b.command({0x46, 0, 0, 0, 1, 2, 18, 27, 255});
    b.out(0x3F2, 0x18);
    EXPECT_EQ(b.disk.in_flight(), 0U);
    b.out(0x3F2, 0x1C);
    b.pass();
    EXPECT_EQ(b.ask({0x08}), (Bytes{0xC0, 0}));
}

TEST(Floppy, DiskErrorsAreDataErrors) {
    FloppyBoard b;
    b.start();
    b.disk.fail_with(BlockStatus::io_error);
    EXPECT_EQ(b.ask({0x46, 0, 0, 0, 1, 2, 18, 27, 255}), (Bytes{0x40, 0x20, 0x20, 0, 0, 1, 2}));
}

TEST(Floppy, ChangeLineFallsWithAStep) {
    FloppyBoard b;
    b.out(0x3F2, 0x1C);
    b.pass();
    EXPECT_EQ(b.in(0x3F7), 0x80);
    b.command({0x07, 0});
    b.pass();
    EXPECT_EQ(b.in(0x3F7), 0x80) << "at track 0 already: no step";
    b.command({0x0F, 0, 1});
    b.pass();
    EXPECT_EQ(b.in(0x3F7), 0x00);
    b.out(0x3F2, 0x1D);
    EXPECT_EQ(b.in(0x3F7), 0x80) << "drive B is not there";
}

TEST(Floppy, MissingDrive) {
    FloppyBoard b;
    b.start();
    b.command({0x07, 1});
    EXPECT_EQ(b.in(0x3F4), 0x82) << "drive 1 seeks";
    b.pass();
    EXPECT_EQ(b.ask({0x08}), (Bytes{0x71, 0}));
    EXPECT_EQ(b.ask({0x46, 1, 0, 0, 1, 2, 18, 27, 255})[1], 1);
    EXPECT_EQ(b.ask({0x04, 1}), Bytes{0x29});
}

TEST(Floppy, RelativeAndImpliedSeeks) {
    FloppyBoard b;
    b.start();
    b.seek(10);
    b.command({0xCF, 0, 5});
    b.pass();
    EXPECT_EQ(b.ask({0x08}), (Bytes{0x20, 15}));
    b.command({0x8F, 0, 1});
    b.pass();
    EXPECT_EQ(b.ask({0x08}), (Bytes{0x20, 14}));
    b.command({0x13, 0, 0x40, 0});
    b.dma.left = 512;
    EXPECT_EQ(b.ask({0x46, 0, 40, 0, 1, 2, 18, 27, 255}), (Bytes{0, 0, 0, 40, 0, 2, 2}));
    EXPECT_EQ(b.dma.memory, b.sectors(40 * 36, 1));
}

TEST(Floppy, RegistersAreDumped) {
    FloppyBoard b;
    b.start();
    b.command({0x13, 0, 0x2A, 5});
    b.command({0x12, 0x8C | 3});
    b.command({0x12, 0x01});
    EXPECT_EQ(b.ask({0x0E}), (Bytes{0, 0, 0, 0, 0xDF, 0x02, 0, 0x0D, 0x2A, 5}));
    EXPECT_EQ(b.ask({0x94}), Bytes{0x10});
    b.out(0x3F4, 0x80);
    EXPECT_EQ(b.ask({0x0E}), (Bytes{0, 0, 0, 0, 0xDF, 0x02, 0, 0x8C, 0x2A, 5}))
        << "locked; a reset clears WGATE";
    EXPECT_EQ(b.ask({0x14}), Bytes{0});
    b.out(0x3F4, 0x80);
    EXPECT_EQ(b.ask({0x0E})[8], 0x20) << "not locked: the FIFO is off";
}

TEST(Floppy, VersionAndInvalidCommands) {
    FloppyBoard b;
    b.start();
    EXPECT_EQ(b.ask({0x10}), Bytes{0x90});
    EXPECT_EQ(b.ask({0x18}), Bytes{0x80}) << "PART ID is of the 82078";
    EXPECT_EQ(b.ask({0x01}), Bytes{0x80});
}

TEST(Floppy, FormatsBySize) {
    struct Format {
        unsigned kib;
        unsigned sectors;
        uint8_t rate;
        uint8_t type;
    };
    for (const Format& f :
         {Format{360, 9, 2, 0x10}, Format{720, 9, 2, 0x40}, Format{1200, 15, 0, 0x20},
          Format{1440, 18, 0, 0x40}, Format{2880, 36, 3, 0x50}}) {
        FloppyBoard b(f.kib * 1024);
        b.start();
        b.out(0x3F7, f.rate);
        b.seek(39, 1);
        b.dma.left = 512;
        const auto last = static_cast<uint8_t>(f.sectors);
        EXPECT_EQ(b.ask({0x46, 4, 39, 1, last, 2, last, 27, 255})[0], 4) << f.kib;
        EXPECT_EQ(b.dma.memory, b.sectors(80 * f.sectors - 1, 1)) << f.kib;
        EXPECT_EQ(b.floppy.cmos_drive_types(), f.type);
    }
    EXPECT_FALSE(FloppyGeometry::of_size(1'000'000));
}

TEST(Floppy, SavedState) {
    MemoryBlock disk(k1440);
    FakeClock clock;
    FakeTimerService timers(clock);
    const auto make = [&] {
        auto floppy = std::make_unique<FloppyController>(
            FloppyController::Wiring{clock, timers, IrqLine(), DmaLine()});
        floppy->insert(0, disk);
        return floppy;
    };
    check_saved_state(make, [](FloppyController& floppy) {
        floppy.port_write(0x3F2, 1, 0x0C);
        for (const uint8_t byte : Bytes{0x0F, 0, 5, 0x46, 0, 5, 0, 1, 2, 18, 27, 255})
            floppy.port_write(0x3F5, 1, byte);
    });
}

TEST(Floppy, TransferGoesOnAfterARestore) {
    FloppyBoard b;
    b.start();
    b.dma.left = 512;
    b.dma.at_once = 100;
    b.command({0x46, 0, 0, 0, 1, 2, 18, 27, 255});
    const auto bytes = saved_bytes(b.floppy);

    FloppyBoard other;
    StateReader reader(bytes);
    ASSERT_TRUE(other.floppy.restore(reader));
    other.dma.left = 412;
    other.pass();
    Bytes all = b.dma.memory;
    all.insert(all.end(), other.dma.memory.begin(), other.dma.memory.end());
    EXPECT_EQ(all, b.sectors(0, 1));
    EXPECT_EQ(other.result(), (Bytes{0, 0, 0, 0, 0, 2, 2}));
}

}  // namespace
}  // namespace banyan
