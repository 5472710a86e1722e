#include "devices/chipset/hpet.hpp"

#include <gtest/gtest.h>

#include "devices/chipset/hpet_state.hpp"
#include "snapshot/device_state_test.hpp"
#include "support/assert.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

constexpr uint64_t kGeneralCaps = 0x000;
constexpr uint64_t kGeneralConfig = 0x010;
constexpr uint64_t kGeneralStatus = 0x020;
constexpr uint64_t kCounter = 0x0F0;
constexpr uint64_t config_of(unsigned timer) {
    return 0x100 + 0x20 * timer;
}
constexpr uint64_t comparator_of(unsigned timer) {
    return 0x108 + 0x20 * timer;
}
constexpr uint64_t fsb_of(unsigned timer) {
    return 0x110 + 0x20 * timer;
}

constexpr uint64_t kTimerLevel = 1 << 1;
constexpr uint64_t kTimerEnable = 1 << 2;
constexpr uint64_t kTimerPeriodic = 1 << 3;
constexpr uint64_t kSetValue = 1 << 6;
constexpr uint64_t k32Bit = 1 << 8;
constexpr uint64_t kFsb = 1 << 14;
constexpr uint64_t route(unsigned input) {
    return uint64_t{input} << 9;
}
constexpr uint64_t kTimerCaps = 0x00F0'0000'0000'8030;

struct HpetBoard {
    FakeClock clock;
    FakeTimerService timers{clock};
    RecordingIrq ioapic;
    RecordingIrq legacy;
    RecordingMsi msi;
    Hpet hpet{{.clock = clock,
               .timers = timers,
               .ioapic = ioapic,
               .irq0 = legacy.line(0),
               .irq8 = legacy.line(8),
               .msi = msi}};

    uint64_t read(uint64_t offset, unsigned size = 8) {
        uint64_t value = 0;
        BANYAN_ASSERT(hpet.mmio_read(offset, size, value) == IoStatus::ok);
        return value & size_mask(size);
    }
    void write(uint64_t offset, uint64_t value, unsigned size = 8) {
        BANYAN_ASSERT(hpet.mmio_write(offset, size, value) == IoStatus::ok);
    }
};

struct HpetTest : ::testing::Test, HpetBoard {};

TEST_F(HpetTest, Capabilities) {
    EXPECT_EQ(read(kGeneralCaps), 10'000'000ULL << 32 | 0x8086A201);
    EXPECT_EQ(read(kGeneralCaps + 4, 4), 10'000'000U);
    EXPECT_EQ(read(config_of(0)), kTimerCaps);
    EXPECT_EQ(read(comparator_of(2)), ~uint64_t{0});
    EXPECT_EQ(read(0x160), 0U) << "there is no fourth timer";
}

TEST_F(HpetTest, AccessSizes) {
    uint64_t value = 0;
    EXPECT_EQ(hpet.mmio_read(0, 2, value), IoStatus::bad_size);
    EXPECT_EQ(hpet.mmio_read(4, 8, value), IoStatus::bad_size);
    EXPECT_EQ(hpet.mmio_write(0x11, 1, 1), IoStatus::bad_size);
    EXPECT_EQ(hpet.mmio_read(0xF4, 4, value), IoStatus::ok);
}

TEST_F(HpetTest, CounterRunsWhileEnabled) {
    clock.advance(1000);
    EXPECT_EQ(read(kCounter), 0U);
    write(kGeneralConfig, 1);
    clock.advance(1000);
    EXPECT_EQ(read(kCounter), 100U);
    write(kGeneralConfig, 0);
    clock.advance(1000);
    EXPECT_EQ(read(kCounter), 100U);
    write(kCounter, 0xFFFF'FFFF'0000'0000);
    write(kCounter, 7, 4);
    write(kGeneralConfig, 1);
    clock.advance(10);
    EXPECT_EQ(read(kCounter), 0xFFFF'FFFF'0000'0008U);
    EXPECT_EQ(read(kCounter + 4, 4), 0xFFFF'FFFFU);
}

TEST_F(HpetTest, OneShotMatchesOnce) {
    write(config_of(2), kTimerEnable | route(21));
    write(comparator_of(2), 100);
    write(kGeneralConfig, 1);
    timers.advance(999);
    EXPECT_EQ(ioapic.rises(21), 0U);
    timers.advance(1);
    EXPECT_EQ(ioapic.rises(21), 1U);
    EXPECT_FALSE(ioapic.level(21)) << "an edge";
    timers.advance(100'000'000'000);
    EXPECT_EQ(ioapic.rises(21), 1U);
}

TEST_F(HpetTest, NothingMatchesWhileHalted) {
    write(config_of(2), kTimerEnable | route(21));
    write(comparator_of(2), 100);
    EXPECT_EQ(timers.armed(), 0U);
    write(kGeneralConfig, 1);
    timers.advance(500);
    write(kGeneralConfig, 0);
    timers.advance(10'000);
    EXPECT_EQ(ioapic.rises(21), 0U);
    write(kGeneralConfig, 1);
    timers.advance(500);
    EXPECT_EQ(ioapic.rises(21), 1U);
}

TEST_F(HpetTest, ComparatorThatWasPassedWaitsForTheWrap) {
    write(kGeneralConfig, 1);
    timers.advance(10'000);
    write(config_of(0), kTimerEnable | k32Bit | route(20));
    write(comparator_of(0), 999);
    timers.advance(1'000'000);
    EXPECT_EQ(ioapic.rises(20), 0U);
    timers.advance(bit(32) * 10);
    EXPECT_EQ(ioapic.rises(20), 1U);
}

TEST_F(HpetTest, ThirtyTwoBitOneShotComesWithEachWrap) {
    write(config_of(0), kTimerEnable | k32Bit | route(20));
    EXPECT_EQ(read(comparator_of(0)), 0xFFFF'FFFFU);
    write(comparator_of(0), 5);
    write(kCounter, 0x1234'0000'0000);
    write(kGeneralConfig, 1);
    timers.advance(50);
    EXPECT_EQ(ioapic.rises(20), 1U);
    timers.advance(3 * bit(32) * 10);
    EXPECT_EQ(ioapic.rises(20), 4U);
}

// As Linux programs timer 0 for ticks at 250 Hz.
TEST_F(HpetTest, PeriodicDoesNotDrift) {
    constexpr uint64_t kPeriod = 400'000;
    write(kGeneralConfig, 1);
    timers.advance(12'345);
    const uint64_t start = read(kCounter);
    write(config_of(0), kTimerEnable | kTimerPeriodic | kSetValue | k32Bit | route(20));
    write(comparator_of(0), start + kPeriod, 4);
    write(comparator_of(0), kPeriod, 4);
    for (uint64_t i = 1; i <= 1000; ++i) {
        timers.jump((start + i * kPeriod) * 10 + i * 37 % 1000 - clock.now_ns());
        ASSERT_EQ(ioapic.rises(20), i);
        ASSERT_EQ(read(comparator_of(0)), start + (i + 1) * kPeriod);
    }
}

TEST_F(HpetTest, PeriodicByOneWrite) {
    write(config_of(1), kTimerEnable | kTimerPeriodic | kSetValue | route(22));
    write(comparator_of(1), 50'000);
    EXPECT_EQ(read(config_of(1)), kTimerCaps | kTimerEnable | kTimerPeriodic | route(22))
        << "set value is used up";
    write(kGeneralConfig, 1);
    timers.advance(5'000'000);
    EXPECT_EQ(ioapic.rises(22), 10U);
}

TEST_F(HpetTest, MissedPeriodsMakeOneInterrupt) {
    write(config_of(1), kTimerEnable | kTimerPeriodic | kSetValue | route(22));
    write(comparator_of(1), 50'000);
    write(kGeneralConfig, 1);
    timers.jump(10'250'000);
    EXPECT_EQ(ioapic.rises(22), 1U);
    EXPECT_EQ(read(comparator_of(1)), 1'050'000U);
    EXPECT_EQ(timers.next_deadline(), 10'500'000U);
}

TEST_F(HpetTest, ShortPeriodsDoNotStorm) {
    for (const uint64_t period : {1ULL, 7ULL, 9'999ULL}) {
        HpetBoard board;
        board.write(config_of(0), kTimerEnable | kTimerPeriodic | kSetValue | route(20));
        board.write(comparator_of(0), period);
        board.write(kGeneralConfig, 1);
        board.timers.advance(10'000'000);
        EXPECT_LE(board.timers.fired(), 101U);
        EXPECT_GE(board.timers.fired(), 50U);
        EXPECT_EQ(board.read(comparator_of(0)) % period, 0U) << "in the guest's phase";
    }
}

TEST_F(HpetTest, LevelStaysUntilItsStatusIsCleared) {
    write(config_of(2), kTimerEnable | kTimerLevel | route(23));
    write(comparator_of(2), 100);
    write(kGeneralConfig, 1);
    timers.advance(1000);
    EXPECT_TRUE(ioapic.level(23));
    EXPECT_EQ(read(kGeneralStatus), 4U);
    write(kGeneralStatus, 3);
    EXPECT_TRUE(ioapic.level(23));
    write(kGeneralStatus, 4);
    EXPECT_FALSE(ioapic.level(23));
    EXPECT_EQ(read(kGeneralStatus), 0U);
}

TEST_F(HpetTest, DisabledLevelHasAStatusAndNoInterrupt) {
    write(config_of(2), kTimerLevel | route(23));
    write(comparator_of(2), 100);
    write(kGeneralConfig, 1);
    EXPECT_EQ(timers.armed(), 0U);
    clock.advance(1000);
    EXPECT_EQ(read(kGeneralStatus), 4U);
    EXPECT_FALSE(ioapic.level(23));
    write(config_of(2), kTimerEnable | kTimerLevel | route(23));
    EXPECT_TRUE(ioapic.level(23));
    write(kGeneralConfig, 0);
    EXPECT_FALSE(ioapic.level(23));
}

TEST_F(HpetTest, LevelFollowsItsRoute) {
    write(config_of(0), kTimerEnable | kTimerLevel | route(23));
    write(comparator_of(0), 100);
    write(kGeneralConfig, 1);
    timers.advance(1000);
    write(config_of(0), kTimerEnable | kTimerLevel | route(20));
    EXPECT_FALSE(ioapic.level(23));
    EXPECT_TRUE(ioapic.level(20));
    write(kGeneralConfig, 3);
    EXPECT_FALSE(ioapic.level(20));
    EXPECT_TRUE(legacy.level(0));
}

TEST_F(HpetTest, RoutesThatDoNotExistAreNotTaken) {
    write(config_of(0), route(22));
    write(config_of(0), route(5));
    EXPECT_EQ(read(config_of(0)), kTimerCaps | route(22));
}

TEST_F(HpetTest, WithoutARouteNobodyIsInterrupted) {
    write(config_of(0), kTimerEnable);
    write(comparator_of(0), 100);
    write(kGeneralConfig, 1);
    timers.advance(10'000);
    EXPECT_EQ(ioapic.calls() + legacy.calls(), 0U);
}

TEST_F(HpetTest, MessageInsteadOfAWire) {
    write(config_of(1), kTimerEnable | kFsb | route(20));
    write(fsb_of(1), 0x4061, 4);
    write(fsb_of(1) + 4, 0xFEE03000, 4);
    write(comparator_of(1), 100);
    write(kGeneralConfig, 1);
    timers.advance(1000);
    ASSERT_EQ(msi.count(), 1U);
    EXPECT_EQ(msi.messages()[0], (MsiMessage{0xFEE03000, 0x4061}));
    EXPECT_EQ(ioapic.calls(), 0U);
}

TEST_F(HpetTest, LegacyReplacement) {
    hpet.pit_input().assert_line();
    EXPECT_TRUE(legacy.level(0)) << "the PIT has the wire";
    write(config_of(0), kTimerEnable | route(20));
    write(config_of(1), kTimerEnable | route(21));
    write(comparator_of(0), 100);
    write(comparator_of(1), 100);
    write(kGeneralConfig, 3);
    EXPECT_FALSE(legacy.level(0)) << "and has lost it";
    legacy.clear_counts();
    hpet.rtc_input().pulse();
    EXPECT_EQ(legacy.calls(), 0U);
    timers.advance(1000);
    EXPECT_EQ(legacy.rises(0), 1U);
    EXPECT_EQ(legacy.rises(8), 1U);
    EXPECT_EQ(ioapic.calls(), 0U);
    write(kGeneralConfig, 1);
    EXPECT_TRUE(legacy.level(0)) << "as the PIT drives it";
}

TEST_F(HpetTest, WritingTheCounterMovesTheMatch) {
    write(config_of(0), kTimerEnable | route(20));
    write(comparator_of(0), 1000);
    write(kGeneralConfig, 1);
    timers.advance(100);
    write(kCounter, 990);
    timers.advance(99);
    EXPECT_EQ(ioapic.rises(20), 0U);
    timers.advance(1);
    EXPECT_EQ(ioapic.rises(20), 1U);
}

TEST_F(HpetTest, ResetReleasesTheWires) {
    write(config_of(2), kTimerEnable | kTimerLevel | route(23));
    write(comparator_of(2), 100);
    write(kGeneralConfig, 1);
    timers.advance(1000);
    hpet.reset();
    EXPECT_FALSE(ioapic.level(23));
    EXPECT_EQ(timers.armed(), 0U);
}

struct OwnedHpet {
    std::shared_ptr<HpetBoard> board = std::make_shared<HpetBoard>();
    Hpet& operator*() const { return board->hpet; }
    Hpet* operator->() const { return &board->hpet; }
};

TEST(HpetState, HasTheCommonProperties) {
    check_saved_state([] { return OwnedHpet{}; },
                      [](Hpet& hpet) {
                          const auto write = [&](uint64_t offset, uint64_t value) {
                              ASSERT_EQ(hpet.mmio_write(offset, 8, value), IoStatus::ok);
                          };
                          write(config_of(0),
                                kTimerEnable | kTimerPeriodic | kSetValue | route(20));
                          write(comparator_of(0), 12'345);
                          write(config_of(1), kTimerEnable | kTimerLevel | k32Bit | route(21));
                          write(comparator_of(1), 0);
                          write(fsb_of(2), 0x1234'5678'9ABC'DEF0);
                          write(kCounter, 0);
                          write(kGeneralConfig, 1);
                          hpet.on_timer(1);
                      });
}

TEST(HpetState, GoesOnWhereItWas) {
    HpetBoard before;
    before.write(config_of(0), kTimerEnable | kTimerPeriodic | kSetValue | route(20));
    before.write(comparator_of(0), 50'000);
    before.write(config_of(2), kTimerEnable | kTimerLevel | route(23));
    before.write(comparator_of(2), 10);
    before.write(kGeneralConfig, 1);
    before.timers.advance(700'000);
    const auto bytes = saved_bytes(before.hpet);

    HpetBoard after;
    after.clock.set_now(700'000);
    StateReader reader(bytes);
    ASSERT_TRUE(after.hpet.restore(reader));
    EXPECT_TRUE(after.ioapic.level(23));
    EXPECT_EQ(after.read(kCounter), 70'000U);
    after.timers.advance(300'000);
    EXPECT_EQ(after.ioapic.rises(20), 1U);
}

TEST(HpetState, RefusesWhatCannotBe) {
    const auto loads = [](auto change) {
        HpetStateV1 state;
        change(state);
        StateWriter writer;
        writer.section(state);
        StateReader reader(writer.bytes());
        HpetBoard board;
        return board.hpet.restore(reader).has_value();
    };
    EXPECT_TRUE(loads([](HpetStateV1&) {}));
    EXPECT_FALSE(loads([](HpetStateV1& s) { s.config = 4; }));
    EXPECT_FALSE(loads([](HpetStateV1& s) { s.status = 8; }));
    EXPECT_FALSE(loads([](HpetStateV1& s) { s.timers[0].config = bit(0); }));
    EXPECT_FALSE(loads([](HpetStateV1& s) { s.timers[0].config = route(5); }));
    EXPECT_FALSE(loads([](HpetStateV1& s) { s.timers[1].waiting = true; }));
    EXPECT_FALSE(loads([](HpetStateV1& s) {
        s.timers[2].config = k32Bit;
        s.timers[2].comparator = bit(32);
    }));
}

}  // namespace
}  // namespace banyan
