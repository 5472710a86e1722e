#include "devices/chipset/pit8254.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

struct PitBoard {
    FakeClock clock;
    FakeTimerService timers{clock};
    RecordingIrq irq;
    Pit8254 pit{{clock, timers, irq.line()}};

    void out(uint16_t port, unsigned value) {
        EXPECT_EQ(pit.port_write(port, 1, value), IoStatus::ok);
    }
    uint8_t in(uint16_t port) {
        uint32_t value = 0;
        EXPECT_EQ(pit.port_read(port, 1, value), IoStatus::ok);
        return static_cast<uint8_t>(value);
    }
    // Low byte first, as all guests do.
    void program(unsigned counter, unsigned mode, unsigned count, bool bcd = false) {
        out(0x43, counter << 6 | 0x30U | mode << 1 | (bcd ? 1U : 0U));
        out(static_cast<uint16_t>(0x40 + counter), count & 0xFF);
        out(static_cast<uint16_t>(0x40 + counter), count >> 8);
    }
    unsigned read_word(unsigned counter) {
        const auto port = static_cast<uint16_t>(0x40 + counter);
        const unsigned low = in(port);
        return low | static_cast<unsigned>(in(port)) << 8;
    }
    uint8_t status(unsigned counter) {
        out(0x43, 0xE0U | 2U << counter);
        return in(static_cast<uint16_t>(0x40 + counter));
    }
    bool output(unsigned counter) { return (status(counter) & 0x80) != 0; }
    // To the start of the n-th tick from now; the first one only loads the count.
    void tick(uint64_t n) {
        const uint64_t tick = clock.now_ns() * Pit8254::kHz / kNsPerSecond + n;
        timers.advance((tick * kNsPerSecond + Pit8254::kHz - 1) / Pit8254::kHz - clock.now_ns());
    }
    void gate2(bool high) { out(0x61, high ? 1 : 0); }
};

TEST(Pit8254, ControlWordCannotBeRead) {
    PitBoard b;
    uint32_t value = 0;
    EXPECT_EQ(b.pit.port_read(0x43, 1, value), IoStatus::no_register);
    EXPECT_EQ(b.pit.port_read(0x40, 2, value), IoStatus::bad_size);
}

TEST(Pit8254, ModeZeroRisesOneTickAfterCountPlusOne) {
    PitBoard b;
    b.program(0, 0, 4);
    EXPECT_FALSE(b.output(0));
    b.tick(1);
    EXPECT_EQ(b.read_word(0), 4U);
    b.tick(3);
    EXPECT_EQ(b.read_word(0), 1U);
    EXPECT_FALSE(b.irq.level());
    b.tick(1);
    EXPECT_EQ(b.read_word(0), 0U);
    EXPECT_TRUE(b.output(0));
    EXPECT_TRUE(b.irq.level());
    b.tick(1);
    EXPECT_EQ(b.read_word(0), 0xFFFFU) << "it goes on counting";
    b.timers.advance(kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 1U);
}

TEST(Pit8254, ModeZeroStopsWhileACountIsHalfWritten) {
    PitBoard b;
    b.program(0, 0, 100);
    b.tick(41);
    b.out(0x40, 10);
    b.tick(200);
    EXPECT_FALSE(b.output(0));
    EXPECT_FALSE(b.irq.level());
    b.out(0x40, 0);
    b.tick(11);
    EXPECT_TRUE(b.irq.level());
}

TEST(Pit8254, ModeZeroCountsOnlyWhileTheGateIsHigh) {
    PitBoard b;
    b.gate2(true);
    b.program(2, 0, 10);
    b.tick(4);
    b.gate2(false);
    b.tick(100);
    EXPECT_EQ(b.read_word(2), 7U);
    b.gate2(true);
    b.tick(6);
    EXPECT_FALSE(b.output(2));
    b.tick(1);
    EXPECT_TRUE(b.output(2));
}

TEST(Pit8254, ModeOneIsTriggeredAndRetriggeredByTheGate) {
    PitBoard b;
    b.program(2, 1, 5);
    b.tick(10);
    EXPECT_TRUE(b.output(2)) << "no trigger yet";
    b.gate2(true);
    b.tick(1);
    EXPECT_FALSE(b.output(2));
    b.tick(3);
    b.gate2(false);
    b.gate2(true);
    b.tick(5);
    EXPECT_FALSE(b.output(2)) << "the second trigger started it again";
    b.tick(1);
    EXPECT_TRUE(b.output(2));
}

TEST(Pit8254, ModeTwoIsLowForTheLastTickOfEachCycle) {
    PitBoard b;
    b.program(0, 2, 3);
    std::vector<unsigned> counts;
    std::vector<bool> outputs;
    for (int i = 0; i < 6; ++i) {
        b.tick(1);
        counts.push_back(b.read_word(0));
        outputs.push_back(b.output(0));
    }
    EXPECT_EQ(counts, (std::vector<unsigned>{3, 2, 1, 3, 2, 1}));
    EXPECT_EQ(outputs, (std::vector<bool>{true, true, false, true, true, false}));
}

TEST(Pit8254, ModeTwoTakesANewCountAtTheEndOfTheCycle) {
    PitBoard b;
    b.program(0, 2, 5);
    b.tick(3);
    b.out(0x40, 2);
    b.out(0x40, 0);
    EXPECT_EQ(b.status(0) & 0x40, 0x40) << "null count until it is loaded";
    EXPECT_EQ(b.read_word(0), 3U);
    b.tick(3);
    EXPECT_EQ(b.read_word(0), 2U);
    EXPECT_EQ(b.status(0) & 0x40, 0);
    b.tick(1);
    EXPECT_EQ(b.read_word(0), 1U);
    b.tick(1);
    EXPECT_EQ(b.read_word(0), 2U);
}

TEST(Pit8254, ModeTwoStartsAnewWhenTheGateRises) {
    PitBoard b;
    b.gate2(true);
    b.program(2, 2, 8);
    b.tick(8);
    EXPECT_FALSE(b.output(2));
    b.gate2(false);
    EXPECT_TRUE(b.output(2));
    b.tick(20);
    b.gate2(true);
    b.tick(1);
    EXPECT_EQ(b.read_word(2), 8U);
}

TEST(Pit8254, ModeThreeEvenIsASquareCountedByTwo) {
    PitBoard b;
    b.program(0, 3, 4);
    std::vector<unsigned> counts;
    std::vector<bool> outputs;
    for (int i = 0; i < 8; ++i) {
        b.tick(1);
        counts.push_back(b.read_word(0));
        outputs.push_back(b.output(0));
    }
    EXPECT_EQ(counts, (std::vector<unsigned>{4, 2, 4, 2, 4, 2, 4, 2}));
    EXPECT_EQ(outputs, (std::vector<bool>{true, true, false, false, true, true, false, false}));
}

TEST(Pit8254, ModeThreeOddIsHighForOneTickMore) {
    PitBoard b;
    b.program(0, 3, 5);
    std::vector<unsigned> counts;
    std::vector<bool> outputs;
    for (int i = 0; i < 5; ++i) {
        b.tick(1);
        counts.push_back(b.read_word(0));
        outputs.push_back(b.output(0));
    }
    EXPECT_EQ(counts, (std::vector<unsigned>{4, 2, 0, 4, 2}));
    EXPECT_EQ(outputs, (std::vector<bool>{true, true, true, false, false}));
}

TEST(Pit8254, ModeThreeTakesANewCountAtTheEndOfTheHalf) {
    PitBoard b;
    b.program(0, 3, 8);
    b.tick(2);
    b.out(0x40, 4);
    b.out(0x40, 0);
    b.tick(3);  // the end of the high half
    EXPECT_FALSE(b.output(0));
    b.tick(1);
    EXPECT_FALSE(b.output(0));
    b.tick(1);
    EXPECT_TRUE(b.output(0)) << "the low half is already two ticks long";
}

TEST(Pit8254, ModeFourStrobesOnceAfterTheCount) {
    PitBoard b;
    b.program(0, 4, 200);
    b.irq.clear_counts();
    b.tick(200);
    EXPECT_TRUE(b.output(0));
    b.tick(1);
    EXPECT_FALSE(b.output(0));
    b.tick(1);
    EXPECT_TRUE(b.output(0));
    EXPECT_EQ(b.irq.rises(), 1U);
    b.timers.advance(kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 1U);
}

TEST(Pit8254, ModeFiveStrobesAfterATrigger) {
    PitBoard b;
    b.program(2, 5, 3);
    b.tick(10);
    b.gate2(true);
    b.tick(3);
    EXPECT_TRUE(b.output(2));
    b.tick(1);
    EXPECT_FALSE(b.output(2));
    b.tick(1);
    EXPECT_TRUE(b.output(2));
}

TEST(Pit8254, ModesSixAndSevenAreTwoAndThree) {
    PitBoard b;
    b.program(0, 6, 100);
    EXPECT_EQ(b.status(0) & 0x3F, 0x34);
    b.program(0, 7, 100);
    EXPECT_EQ(b.status(0) & 0x3F, 0x36);
}

TEST(Pit8254, CountsInBcd) {
    PitBoard b;
    b.program(2, 2, 0x1000, true);
    b.gate2(true);
    b.tick(2);
    EXPECT_EQ(b.read_word(2), 0x0999U);
    b.program(2, 0, 0x0000, true);
    b.tick(2);
    EXPECT_EQ(b.read_word(2), 0x9999U) << "0 is 10000";
}

TEST(Pit8254, LatchHoldsTheCountUntilItIsRead) {
    PitBoard b;
    b.program(0, 2, 0x8000);
    b.tick(1);
    b.out(0x43, 0x00);
    b.tick(0x100);
    b.out(0x43, 0x00);
    EXPECT_EQ(b.read_word(0), 0x8000U) << "the second latch command is ignored";
    EXPECT_EQ(b.read_word(0), 0x7F00U);
}

TEST(Pit8254, SingleByteAccess) {
    PitBoard b;
    b.out(0x43, 0x14);  // counter 0, low byte only, mode 2
    b.out(0x40, 0x80);
    b.tick(1);
    EXPECT_EQ(b.in(0x40), 0x80);
    EXPECT_EQ(b.in(0x40), 0x80);
    b.out(0x43, 0x24);  // high byte only
    b.out(0x40, 0x12);
    b.tick(1);
    EXPECT_EQ(b.in(0x40), 0x12);
    b.tick(1);
    EXPECT_EQ(b.in(0x40), 0x11);
}

TEST(Pit8254, ReadBackGivesStatusThenCount) {
    PitBoard b;
    b.program(1, 2, 0x1234);
    b.tick(1);
    b.out(0x43, 0xC4);  // both of counter 1
    b.tick(9);
    EXPECT_EQ(b.in(0x41), 0xB4);
    EXPECT_EQ(b.read_word(1), 0x1234U);
    EXPECT_EQ(b.read_word(1), 0x122BU);
}

TEST(Pit8254, NullCountUntilTheFirstTick) {
    PitBoard b;
    b.out(0x43, 0x34);
    EXPECT_EQ(b.status(0) & 0x40, 0x40);
    b.program(0, 2, 100);
    EXPECT_EQ(b.status(0) & 0x40, 0x40);
    b.tick(1);
    EXPECT_EQ(b.status(0) & 0x40, 0);
}

TEST(Pit8254, PeriodicInterruptDoesNotDrift) {
    PitBoard b;
    b.program(0, 2, 11932);  // as for 100 Hz
    b.irq.clear_counts();
    b.timers.advance(100 * kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 100 * Pit8254::kHz / 11932);
    EXPECT_EQ(b.timers.fired(), b.irq.rises());
}

TEST(Pit8254, FullCountInterruptsEighteenTimesASecond) {
    PitBoard b;
    b.program(0, 3, 0);
    b.irq.clear_counts();
    b.timers.advance(10 * kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 182U);
}

TEST(Pit8254, CountOneDoesNotFloodTheHost) {
    PitBoard b;
    b.program(0, 2, 1);
    b.timers.advance(kNsPerSecond);
    EXPECT_LE(b.timers.fired(), kNsPerSecond / Pit8254::kMinInterruptPeriodNs + 1);
    EXPECT_GE(b.timers.fired(), 9000U);
}

TEST(Pit8254, LateHostGivesOneInterruptForManyAndKeepsTheRhythm) {
    PitBoard b;
    b.program(0, 2, 11932);
    b.irq.clear_counts();
    b.timers.jump(kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 1U);
    const uint64_t next_tick = 1 + 100 * 11932;  // the hundredth edge of the original sequence
    EXPECT_EQ(b.timers.next_deadline(),
              (next_tick * kNsPerSecond + Pit8254::kHz - 1) / Pit8254::kHz);
}

TEST(Pit8254, LateTimerAfterReprogrammingIsIgnored) {
    PitBoard b;
    b.program(0, 0, 100);
    b.program(0, 0, 60000);
    b.irq.clear_counts();
    b.pit.on_timer(0);
    EXPECT_EQ(b.irq.rises(), 0U);
    b.timers.advance(kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 1U);
}

TEST(Pit8254, NewModeStopsTheOldInterrupt) {
    PitBoard b;
    b.program(0, 2, 1000);
    b.out(0x43, 0x30);  // mode 0, no count yet
    b.irq.clear_counts();
    b.timers.advance(kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 0U);
    EXPECT_EQ(b.timers.armed(), 0U);
}

// How Linux measures the TSC against counter 2 (pit_calibrate_tsc).
TEST(Pit8254, CounterTwoIsSeenAtPort61) {
    PitBoard b;
    b.out(0x61, (b.in(0x61) & ~0x02U) | 0x01U);
    b.out(0x43, 0xB0);
    b.out(0x42, 0xFF);
    b.out(0x42, 0x2E);
    EXPECT_EQ(b.in(0x61) & 0x20, 0);
    b.tick(0x2EFF);
    EXPECT_EQ(b.in(0x61) & 0x20, 0);
    b.tick(1);
    EXPECT_EQ(b.in(0x61) & 0x20, 0x20);
}

TEST(Pit8254, Port61KeepsItsEnablesAndTogglesRefresh) {
    PitBoard b;
    b.out(0x61, 0xFF);
    EXPECT_EQ(b.in(0x61) & 0x0F, 0x0F);
    EXPECT_EQ(b.in(0x61) & 0xC0, 0x00) << "no parity or I/O check error";
    unsigned toggles = 0;
    uint8_t last = b.in(0x61) & 0x10;
    for (int i = 0; i < 100; ++i) {
        b.timers.advance(1000);
        const uint8_t refresh = b.in(0x61) & 0x10;
        toggles += refresh != last ? 1 : 0;
        last = refresh;
    }
    EXPECT_EQ(toggles, 6U) << "once in 15 us";
}

TEST(Pit8254, SavesItsState) {
    std::vector<std::unique_ptr<PitBoard>> boards;
    const auto make = [&] {
        boards.push_back(std::make_unique<PitBoard>());
        return &boards.back()->pit;
    };
    const auto use = [&](Pit8254&) {
        PitBoard& b = *boards[1];
        b.program(0, 2, 5000);
        b.program(1, 3, 19);
        b.gate2(true);
        b.program(2, 0, 777);
        b.tick(50);
        b.out(0x43, 0xC8);
        b.out(0x41, 7);
        b.gate2(false);
    };
    check_saved_state(make, use);
}

// Loading must not be the moment at which an overdue count takes over: what was loaded would differ
// from what was saved.
TEST(Pit8254, SavesAnOverdueCountAsTakenOver) {
    PitBoard before;
    before.program(0, 2, 1000);
    before.tick(10);
    before.out(0x40, 0x10);
    before.out(0x40, 0x27);
    before.clock.advance(25'000'000);  // past the end of the cycle; nobody looks
    const auto saved = saved_bytes(before.pit);

    PitBoard after;
    after.clock.set_now(25'000'000);
    StateReader reader(saved);
    ASSERT_TRUE(after.pit.restore(reader));
    EXPECT_EQ(saved_bytes(after.pit), saved);
}

TEST(Pit8254, OverdueInterruptComesAfterRestore) {
    PitBoard before;
    before.program(0, 2, 11932);
    before.clock.advance(25'000'000);  // the host had no time for the timer
    const auto saved = saved_bytes(before.pit);

    PitBoard after;
    after.clock.set_now(25'000'000);
    StateReader reader(saved);
    ASSERT_TRUE(after.pit.restore(reader));
    after.irq.clear_counts();
    after.timers.run_due();
    EXPECT_EQ(after.irq.rises(), 1U);
    after.timers.advance(kNsPerSecond);
    EXPECT_EQ(after.irq.rises(), 101U);
}

}  // namespace
}  // namespace banyan
