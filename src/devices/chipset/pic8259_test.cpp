#include "devices/chipset/pic8259.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <vector>

#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

constexpr uint16_t kMaster = 0x20;
constexpr uint16_t kSlave = 0xA0;

struct PicBoard {
    RecordingIrq cpu;
    Pic8259Pair pic{{cpu.line()}};

    void out(uint16_t port, unsigned value) {
        EXPECT_EQ(pic.port_write(port, 1, value), IoStatus::ok);
    }
    uint8_t in(uint16_t port) {
        uint32_t value = 0;
        EXPECT_EQ(pic.port_read(port, 1, value), IoStatus::ok);
        return static_cast<uint8_t>(value);
    }
    // As PC firmware does: vectors 20h and 28h.
    void initialize(unsigned master_icw4 = 0x01, unsigned slave_icw4 = 0x01) {
        start(kMaster, 0x20, 0x04, master_icw4);
        start(kSlave, 0x28, 0x02, slave_icw4);
    }
    void start(uint16_t port, unsigned base, unsigned icw3, unsigned icw4) {
        out(port, 0x11);
        out(port + 1, base);
        out(port + 1, icw3);
        out(port + 1, icw4);
    }
    void pulse(unsigned input) {
        pic.set_irq(input, true);
        pic.set_irq(input, false);
    }
    uint8_t irr(uint16_t port) {
        out(port, 0x0A);
        return in(port);
    }
    uint8_t isr(uint16_t port) {
        out(port, 0x0B);
        return in(port);
    }
};

TEST(Pic8259, DoesNotInterruptBeforeInitialization) {
    PicBoard b;
    b.pulse(1);
    b.pulse(9);
    EXPECT_FALSE(b.cpu.level());
    EXPECT_EQ(b.pic.acknowledge(), std::nullopt);
}

// How Linux finds out whether there is a PIC (probe_8259A).
TEST(Pic8259, MaskReadsBackWithoutInitialization) {
    PicBoard b;
    b.out(0xA1, 0xFF);
    b.out(0x21, 0xFB);
    EXPECT_EQ(b.in(0x21), 0xFB);
    EXPECT_EQ(b.in(0xA1), 0xFF);
}

TEST(Pic8259, OnlyByteAccessesReachIt) {
    PicBoard b;
    uint32_t value = 0;
    EXPECT_EQ(b.pic.port_read(0x20, 2, value), IoStatus::bad_size);
    EXPECT_EQ(b.pic.port_write(0x20, 4, 0x11), IoStatus::bad_size);
}

TEST(Pic8259, DeliversAndAcceptsNonSpecificEoi) {
    PicBoard b;
    b.initialize();
    b.pulse(4);
    EXPECT_TRUE(b.pic.pending());
    EXPECT_EQ(b.irr(kMaster), 0x10);
    EXPECT_EQ(b.pic.acknowledge(), 0x24);
    EXPECT_FALSE(b.pic.pending());
    EXPECT_EQ(b.irr(kMaster), 0x00);
    EXPECT_EQ(b.isr(kMaster), 0x10);
    b.out(kMaster, 0x20);
    EXPECT_EQ(b.isr(kMaster), 0x00);
    EXPECT_EQ(b.cpu.rises(), 1U);
}

TEST(Pic8259, HigherPriorityInterruptsLowerButNotTheOtherWay) {
    PicBoard b;
    b.initialize();
    b.pulse(4);
    EXPECT_EQ(b.pic.acknowledge(), 0x24);
    b.pulse(6);
    EXPECT_FALSE(b.pic.pending());
    b.pulse(1);
    EXPECT_EQ(b.pic.acknowledge(), 0x21);
    EXPECT_EQ(b.isr(kMaster), 0x12);
    b.out(kMaster, 0x20);
    EXPECT_EQ(b.isr(kMaster), 0x10) << "the highest in service is ended first";
    EXPECT_FALSE(b.pic.pending());
    b.out(kMaster, 0x20);
    EXPECT_EQ(b.pic.acknowledge(), 0x26);
}

TEST(Pic8259, MaskHoldsRequestsBack) {
    PicBoard b;
    b.initialize();
    b.out(0x21, 0x08);
    b.pulse(3);
    EXPECT_FALSE(b.pic.pending());
    b.out(0x21, 0x00);
    EXPECT_EQ(b.pic.acknowledge(), 0x23);
}

TEST(Pic8259, EdgeInputNeedsANewEdge) {
    PicBoard b;
    b.initialize();
    b.pic.set_irq(5, true);
    b.pic.set_irq(5, true);
    EXPECT_EQ(b.pic.acknowledge(), 0x25);
    b.out(kMaster, 0x20);
    EXPECT_FALSE(b.pic.pending());
    b.pic.set_irq(5, false);
    b.pic.set_irq(5, true);
    EXPECT_TRUE(b.pic.pending());
}

TEST(Pic8259, LevelInputAsksAgainUntilItFalls) {
    PicBoard b;
    b.initialize();
    b.out(0x4D0, 0x20);
    b.pic.set_irq(5, true);
    EXPECT_EQ(b.pic.acknowledge(), 0x25);
    b.out(kMaster, 0x20);
    EXPECT_EQ(b.pic.acknowledge(), 0x25);
    b.pic.set_irq(5, false);
    b.out(kMaster, 0x20);
    EXPECT_FALSE(b.pic.pending());
}

TEST(Pic8259, ElcrBitsOfIsaInputsStayZero) {
    PicBoard b;
    b.out(0x4D0, 0xFF);
    b.out(0x4D1, 0xFF);
    EXPECT_EQ(b.in(0x4D0), 0xF8) << "IRQ 0, 1 and 2";
    EXPECT_EQ(b.in(0x4D1), 0xDE) << "IRQ 8 and 13";
}

TEST(Pic8259, SlaveGoesThroughInputTwo) {
    PicBoard b;
    b.initialize();
    b.pulse(10);
    EXPECT_EQ(b.irr(kMaster), 0x04);
    EXPECT_EQ(b.pic.acknowledge(), 0x2A);
    EXPECT_EQ(b.isr(kMaster), 0x04);
    EXPECT_EQ(b.isr(kSlave), 0x04);
    b.out(kSlave, 0x20);
    b.out(kMaster, 0x20);
    EXPECT_EQ(b.isr(kMaster) | b.isr(kSlave), 0x00);
}

TEST(Pic8259, TwoRequestsOfTheSlaveComeOneAfterTheOther) {
    PicBoard b;
    b.initialize();
    b.pulse(9);
    b.pulse(12);
    EXPECT_EQ(b.pic.acknowledge(), 0x29);
    EXPECT_FALSE(b.pic.pending());
    b.out(kSlave, 0x20);
    EXPECT_FALSE(b.pic.pending()) << "the master still serves input 2";
    b.out(kMaster, 0x20);
    EXPECT_EQ(b.pic.acknowledge(), 0x2C);
}

TEST(Pic8259, SpecialFullyNestedModeLetsTheSlaveInterruptItself) {
    PicBoard b;
    b.initialize(0x11);
    b.pulse(12);
    EXPECT_EQ(b.pic.acknowledge(), 0x2C);
    b.pulse(9);
    EXPECT_EQ(b.pic.acknowledge(), 0x29);
    EXPECT_EQ(b.isr(kSlave), 0x12);
}

TEST(Pic8259, InputTwoOfTheBoardIsNotConnected) {
    PicBoard b;
    b.initialize();
    b.pulse(2);
    b.pulse(16);
    EXPECT_FALSE(b.pic.pending());
    EXPECT_EQ(b.irr(kMaster), 0x00);
}

TEST(Pic8259, WithdrawnRequestGivesSpuriousSeven) {
    PicBoard b;
    b.initialize();
    b.out(0x4D0, 0x20);
    b.pic.set_irq(5, true);
    b.pic.set_irq(5, false);
    EXPECT_FALSE(b.pic.pending());
    EXPECT_EQ(b.pic.acknowledge(), 0x27);
    EXPECT_EQ(b.isr(kMaster), 0x00) << "a spurious interrupt is not in service";
    EXPECT_EQ(b.pic.acknowledge(), std::nullopt);
}

TEST(Pic8259, RequestWithdrawnFromTheSlaveGivesSpuriousFifteen) {
    PicBoard b;
    b.initialize();
    b.out(0x4D1, 0x04);
    b.pic.set_irq(10, true);
    b.pic.set_irq(10, false);
    EXPECT_EQ(b.pic.acknowledge(), 0x2F);
    EXPECT_EQ(b.isr(kSlave), 0x00);
    EXPECT_EQ(b.isr(kMaster), 0x04) << "the master served its input 2";
}

TEST(Pic8259, SpecificEoiEndsTheNamedLevel) {
    PicBoard b;
    b.initialize();
    b.pulse(5);
    b.pic.acknowledge();
    b.pulse(3);
    b.pic.acknowledge();
    b.out(kMaster, 0x65);
    EXPECT_EQ(b.isr(kMaster), 0x08);
}

TEST(Pic8259, RotationOnEoiMakesTheServedLevelLowest) {
    PicBoard b;
    b.initialize();
    b.pulse(3);
    b.pic.acknowledge();
    b.out(kMaster, 0xA0);
    b.pulse(3);
    b.pulse(7);
    EXPECT_EQ(b.pic.acknowledge(), 0x27);
}

TEST(Pic8259, RotationOnSpecificEoiAndSetPriority) {
    PicBoard b;
    b.initialize();
    b.pulse(6);
    b.pic.acknowledge();
    b.out(kMaster, 0xE6);  // input 7 is now the highest
    b.pulse(0);
    b.pulse(7);
    EXPECT_EQ(b.pic.acknowledge(), 0x27);
    b.out(kMaster, 0x20);
    b.out(kMaster, 0xC7);  // input 7 the lowest again
    b.pulse(7);
    EXPECT_EQ(b.pic.acknowledge(), 0x20);
}

TEST(Pic8259, AutomaticEoiLeavesNothingInService) {
    PicBoard b;
    b.initialize(0x03);
    b.pulse(6);
    EXPECT_EQ(b.pic.acknowledge(), 0x26);
    EXPECT_EQ(b.isr(kMaster), 0x00);
    b.pulse(7);
    EXPECT_EQ(b.pic.acknowledge(), 0x27);
}

TEST(Pic8259, AutomaticEoiCanRotate) {
    PicBoard b;
    b.initialize(0x03);
    b.out(kMaster, 0x80);
    b.pulse(0);
    EXPECT_EQ(b.pic.acknowledge(), 0x20);
    b.pulse(0);
    b.pulse(5);
    EXPECT_EQ(b.pic.acknowledge(), 0x25);
    b.out(kMaster, 0x00);
    EXPECT_EQ(b.pic.acknowledge(), 0x20);
    b.pulse(5);
    EXPECT_EQ(b.pic.acknowledge(), 0x25);
    b.pulse(0);
    b.pulse(6);
    EXPECT_EQ(b.pic.acknowledge(), 0x26)
        << "without rotation the order of the last one stays: 6, 7, 0, ..., 5";
}

TEST(Pic8259, SpecialMaskModeLetsLowerLevelsThrough) {
    PicBoard b;
    b.initialize();
    b.pulse(3);
    b.pic.acknowledge();
    b.out(0x21, 0x08);
    b.out(kMaster, 0x68);
    b.pulse(6);
    EXPECT_EQ(b.pic.acknowledge(), 0x26);
    b.out(kMaster, 0x20);
    EXPECT_EQ(b.isr(kMaster), 0x08) << "a masked level is not ended by a non-specific EOI";
    b.pulse(6);
    b.out(kMaster, 0x48);
    EXPECT_FALSE(b.pic.pending());
}

TEST(Pic8259, PollAcknowledgesBySoftware) {
    PicBoard b;
    b.initialize();
    b.pulse(5);
    b.out(kMaster, 0x0C);
    EXPECT_EQ(b.in(kMaster), 0x85);
    EXPECT_EQ(b.isr(kMaster), 0x20);
    EXPECT_FALSE(b.cpu.level());
    b.out(kMaster, 0x0C);
    EXPECT_EQ(b.in(kMaster)&0x80, 0x00);
    EXPECT_EQ(b.in(0x21), 0x00) << "the poll is over: this is the mask";
}

TEST(Pic8259, IcwOneStartsOver) {
    PicBoard b;
    b.initialize(0x03);
    b.pulse(6);
    b.pic.acknowledge();
    b.pic.set_irq(4, true);
    b.out(0x21, 0xF0);
    b.out(kMaster, 0x68);
    b.initialize();
    EXPECT_EQ(b.in(0x21), 0x00);
    EXPECT_EQ(b.in(kMaster), 0x00) << "the IRR is selected and its edges are forgotten";
    EXPECT_FALSE(b.pic.pending());
    b.pulse(4);
    EXPECT_FALSE(b.pic.pending()) << "the wire was high all the time";
    b.pulse(4);
    EXPECT_TRUE(b.pic.pending());
}

TEST(Pic8259, SingleModeSkipsIcwThreeAndShortFormSkipsIcwFour) {
    PicBoard b;
    b.out(kMaster, 0x12);
    b.out(0x21, 0x40);
    b.out(0x21, 0xFE);  // already the mask
    EXPECT_EQ(b.in(0x21), 0xFE);
    b.pulse(0);
    EXPECT_EQ(b.pic.acknowledge(), 0x40);
}

// Inputs change from any thread while the CPU acknowledges: no request is lost, and the wire to the
// CPU says what is so.
TEST(Pic8259, InputsMayChangeFromSeveralThreads) {
    PicBoard b;
    b.initialize(0x03, 0x03);
    const auto pulse_often = [&](unsigned input) {
        for (int i = 0; i < 2000; ++i)
            b.pulse(input);
    };
    std::thread first(pulse_often, 1);
    std::thread second(pulse_often, 12);
    for (int i = 0; i < 2000; ++i)
        b.pic.acknowledge();
    first.join();
    second.join();
    while (b.pic.pending())
        b.pic.acknowledge();
    EXPECT_FALSE(b.cpu.level());
    b.pulse(1);
    b.pulse(12);
    EXPECT_EQ(b.pic.acknowledge(), 0x21);
    EXPECT_EQ(b.pic.acknowledge(), 0x2C);
    EXPECT_EQ(b.pic.acknowledge(), std::nullopt);
}

TEST(Pic8259, SavesItsState) {
    std::vector<std::unique_ptr<PicBoard>> boards;
    const auto make = [&] {
        boards.push_back(std::make_unique<PicBoard>());
        return &boards.back()->pic;
    };
    const auto use = [&](Pic8259Pair&) {
        PicBoard& b = *boards[1];
        b.initialize(0x11);
        b.out(0x4D1, 0x0C);
        b.pulse(10);
        b.pulse(1);
        b.pic.acknowledge();
        b.out(0x21, 0x80);
        b.out(kMaster, 0xC3);
        b.out(kSlave, 0x11);  // an initialization that is not finished
    };
    check_saved_state(make, use);
}

TEST(Pic8259, PendingInterruptSurvivesRestore) {
    PicBoard before;
    before.initialize();
    before.pulse(12);
    const auto saved = saved_bytes(before.pic);

    PicBoard after;
    StateReader reader(saved);
    ASSERT_TRUE(after.pic.restore(reader));
    EXPECT_TRUE(after.cpu.level());
    EXPECT_EQ(after.pic.acknowledge(), 0x2C);
}

}  // namespace
}  // namespace banyan
