#include "devices/chipset/cmos_rtc.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "devices/chipset/cmos_rtc_regs.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using namespace rtc;

constexpr uint64_t kMs = 1'000'000;

struct CmosBoard {
    FakeClock clock;
    FakeTimerService timers{clock};
    RecordingIrq irq;
    CmosRtc chip{{clock, timers, irq.line()}};

    uint8_t get(uint8_t index) {
        uint32_t value = 0;
        EXPECT_EQ(chip.port_write(0x70, 1, index), IoStatus::ok);
        EXPECT_EQ(chip.port_read(0x71, 1, value), IoStatus::ok);
        return static_cast<uint8_t>(value);
    }
    void set(uint8_t index, unsigned value) {
        EXPECT_EQ(chip.port_write(0x70, 1, index), IoStatus::ok);
        EXPECT_EQ(chip.port_write(0x71, 1, value), IoStatus::ok);
    }
    // Century, year, month, day, hours, minutes, seconds as the registers show them.
    std::vector<unsigned> now() {
        return {get(CENTURY), get(YEAR),    get(MONTH),  get(DAY_OF_MONTH),
                get(HOURS),   get(MINUTES), get(SECONDS)};
    }
    void set_alarm(unsigned hours, unsigned minutes, unsigned seconds) {
        set(HOURS_ALARM, hours);
        set(MINUTES_ALARM, minutes);
        set(SECONDS_ALARM, seconds);
    }
};

using Values = std::vector<unsigned>;

TEST(CmosRtc, ShowsTheWallClockInBcd) {
    CmosBoard b;  // 2024-02-28 23:59:50, a Wednesday
    EXPECT_EQ(b.now(), (Values{0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x50}));
    EXPECT_EQ(b.get(DAY_OF_WEEK), 4);
    b.clock.advance(11 * kNsPerSecond);
    EXPECT_EQ(b.now(), (Values{0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x01})) << "a leap day";
    b.clock.advance(24 * 3600 * kNsPerSecond);
    EXPECT_EQ(b.now(), (Values{0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x01}));
}

TEST(CmosRtc, BinaryAndTwelveHourFormats) {
    CmosBoard b;
    b.set(REGISTER_B, b::DM);
    EXPECT_EQ(b.now(), (Values{20, 24, 2, 28, 11 | 0x80, 59, 50}));
    b.clock.advance(10 * kNsPerSecond);
    EXPECT_EQ(b.get(HOURS), 12) << "midnight is 12 AM";
    b.clock.advance(12 * 3600 * kNsPerSecond);
    EXPECT_EQ(b.get(HOURS), 12 | 0x80) << "noon is 12 PM";
    b.set(REGISTER_B, 0);
    EXPECT_EQ(b.get(HOURS), 0x92);
    b.clock.advance(3600 * kNsPerSecond);
    EXPECT_EQ(b.get(HOURS), 0x81);
}

TEST(CmosRtc, IndexPortAndWordsCannotBeRead) {
    CmosBoard b;
    uint32_t value = 0;
    EXPECT_EQ(b.chip.port_read(0x70, 1, value), IoStatus::no_register);
    EXPECT_EQ(b.chip.port_write(0x70, 2, 0x1234), IoStatus::bad_size);
}

TEST(CmosRtc, MaskingNmiDoesNotChangeTheIndex) {
    CmosBoard b;
    b.set(0x80 | 0x40, 0x5A);
    EXPECT_EQ(b.get(0x40), 0x5A);
}

TEST(CmosRtc, ReadOnlyRegisters) {
    CmosBoard b;
    b.set(REGISTER_D, 0);
    b.set(REGISTER_C, 0xFF);
    b.set(REGISTER_A, 0xFF & ~a::DV);
    EXPECT_EQ(b.get(REGISTER_D), 0x80);
    EXPECT_EQ(b.get(REGISTER_C), 0x00);
    EXPECT_EQ(b.get(REGISTER_A), 0x0F) << "UIP is not written";
}

TEST(CmosRtc, SetHaltsTheTimeAndWritesIt) {
    CmosBoard b;
    b.set(REGISTER_B, b::SET | b::HOURS_24);
    b.clock.advance(5 * kNsPerSecond);
    EXPECT_EQ(b.get(SECONDS), 0x50);
    const Values wanted{0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58};
    const uint8_t order[] = {CENTURY, YEAR, MONTH, DAY_OF_MONTH, HOURS, MINUTES, SECONDS};
    for (size_t i = 0; i < wanted.size(); ++i)
        b.set(order[i], wanted[i]);
    b.set(DAY_OF_WEEK, 1);  // it was a Friday, but the guest says Sunday
    EXPECT_EQ(b.now(), wanted);
    b.set(REGISTER_B, b::HOURS_24);
    EXPECT_EQ(b.now(), wanted);
    b.clock.advance(2 * kNsPerSecond);
    EXPECT_EQ(b.now(), (Values{0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00}));
    EXPECT_EQ(b.get(DAY_OF_WEEK), 2);
}

TEST(CmosRtc, TimeCanBeWrittenWhileItRuns) {
    CmosBoard b;
    b.set(HOURS, 0x07);
    EXPECT_EQ(b.now(), (Values{0x20, 0x24, 0x02, 0x28, 0x07, 0x59, 0x50}));
}

TEST(CmosRtc, ImpossibleDatesCountOn) {
    CmosBoard b;
    b.set(REGISTER_B, b::SET | b::HOURS_24);
    b.set(MONTH, 0x99);
    b.set(DAY_OF_MONTH, 0x32);
    b.set(HOURS, 0x25);
    b.set(REGISTER_B, b::HOURS_24);
    EXPECT_EQ(b.now(), (Values{0x20, 0x25, 0x01, 0x02, 0x01, 0x59, 0x50}));
}

// What Linux's mc146818_set_time does: the divider is held and released, the first update comes 500
// ms later.
TEST(CmosRtc, ReleasingTheDividerStartsHalfASecondBeforeTheUpdate) {
    CmosBoard b;
    b.clock.advance(123 * kMs);
    b.set(REGISTER_B, b::SET | b::HOURS_24);
    b.set(REGISTER_A, 0x76);
    b.set(SECONDS, 0x30);
    b.set(REGISTER_B, b::HOURS_24);
    b.clock.advance(3 * kNsPerSecond);
    EXPECT_EQ(b.get(SECONDS), 0x30) << "the divider is held";
    b.set(REGISTER_A, 0x26);
    b.clock.advance(499 * kMs);
    EXPECT_EQ(b.get(SECONDS), 0x30);
    b.clock.advance(1 * kMs);
    EXPECT_EQ(b.get(SECONDS), 0x31);
}

TEST(CmosRtc, UpdateInProgressAnnouncesTheUpdate) {
    CmosBoard b;
    b.clock.advance(997 * kMs);
    EXPECT_EQ(b.get(REGISTER_A), 0x26);
    b.clock.advance(1 * kMs);
    EXPECT_EQ(b.get(REGISTER_A), 0x26 | a::UIP);
    EXPECT_EQ(b.get(SECONDS), 0x50);
    b.clock.advance(2 * kMs);
    EXPECT_EQ(b.get(REGISTER_A), 0x26);
    EXPECT_EQ(b.get(SECONDS), 0x51);
}

TEST(CmosRtc, UpdateEndedInterruptComesEachSecond) {
    CmosBoard b;
    b.set(REGISTER_B, b::UIE | b::HOURS_24);
    b.timers.advance(999 * kMs);
    EXPECT_FALSE(b.irq.level());
    b.timers.advance(1 * kMs);
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.get(REGISTER_C) & (c::IRQF | c::UF), c::IRQF | c::UF);
    EXPECT_FALSE(b.irq.level());
    EXPECT_EQ(b.get(REGISTER_C), 0);
    b.timers.advance(1 * kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 2U);
}

TEST(CmosRtc, FlagsAreSetWithoutBeingEnabled) {
    CmosBoard b;
    b.clock.advance(2 * kNsPerSecond);
    EXPECT_EQ(b.get(REGISTER_C), c::UF | c::PF);
    EXPECT_EQ(b.irq.rises(), 0U);
    EXPECT_EQ(b.timers.fired(), 0U) << "nobody waits for it";
}

TEST(CmosRtc, EnablingAFlagThatIsSetInterruptsAtOnce) {
    CmosBoard b;
    b.clock.advance(2 * kNsPerSecond);
    b.set(REGISTER_B, b::UIE | b::HOURS_24);
    EXPECT_TRUE(b.irq.level());
}

TEST(CmosRtc, SettingSetClearsTheUpdateInterruptEnable) {
    CmosBoard b;
    b.set(REGISTER_B, b::SET | b::UIE | b::AIE | b::HOURS_24);
    EXPECT_EQ(b.get(REGISTER_B), b::SET | b::AIE | b::HOURS_24);
}

TEST(CmosRtc, PeriodicRateIsThatOfTheTable) {
    CmosBoard b;
    const auto interrupts_at = [&](unsigned rate) {
        b.set(REGISTER_A, 0x20 | rate);
        b.get(REGISTER_C);
        b.irq.clear_counts();
        for (int i = 0; i < 100'000; ++i) {  // one second
            b.timers.advance(10'000);
            if (b.irq.level()) b.get(REGISTER_C);
        }
        return b.irq.rises();
    };
    b.set(REGISTER_B, b::PIE | b::HOURS_24);
    EXPECT_EQ(interrupts_at(1), 256U);
    EXPECT_EQ(interrupts_at(2), 128U);
    EXPECT_EQ(interrupts_at(3), 8192U);
    EXPECT_EQ(interrupts_at(6), 1024U);
    EXPECT_EQ(interrupts_at(15), 2U);
    EXPECT_EQ(interrupts_at(0), 0U);
}

TEST(CmosRtc, PeriodicInterruptThatIsNotTakenCostsNothing) {
    CmosBoard b;
    b.set(REGISTER_A, 0x23);
    b.set(REGISTER_B, b::PIE | b::HOURS_24);
    b.timers.advance(60 * kNsPerSecond);
    EXPECT_EQ(b.timers.fired(), 1U);
    EXPECT_TRUE(b.irq.level());
}

TEST(CmosRtc, AlarmAtATimeOfDay) {
    CmosBoard b;
    b.set_alarm(0x00, 0x01, 0x30);
    b.set(REGISTER_B, b::AIE | b::HOURS_24);
    b.timers.advance(99 * kNsPerSecond);
    EXPECT_FALSE(b.irq.level());
    b.timers.advance(1 * kNsPerSecond);
    EXPECT_EQ(b.now(), (Values{0x20, 0x24, 0x02, 0x29, 0x00, 0x01, 0x30}));
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.get(REGISTER_C) & c::AF, c::AF);
    b.timers.advance(24 * 3600 * kNsPerSecond - 1);
    EXPECT_FALSE(b.irq.level());
    b.timers.advance(1);
    EXPECT_TRUE(b.irq.level());
}

TEST(CmosRtc, AlarmWithDontCareRepeats) {
    CmosBoard b;
    b.set_alarm(0xFF, 0xC0, 0x05);  // once a minute
    b.set(REGISTER_B, b::AIE | b::HOURS_24);
    for (int i = 0; i < 180; ++i) {
        b.timers.advance(kNsPerSecond);
        b.get(REGISTER_C);
    }
    EXPECT_EQ(b.irq.rises(), 3U);
    b.irq.clear_counts();
    b.set_alarm(0xFF, 0x30, 0x00);  // once an hour
    b.timers.advance(2 * 3600 * kNsPerSecond);
    EXPECT_EQ(b.irq.rises(), 1U) << "the flag was not read between";
}

TEST(CmosRtc, ImpossibleAlarmNeverComes) {
    CmosBoard b;
    b.set_alarm(0x24, 0x00, 0x00);
    b.set(REGISTER_B, b::AIE | b::HOURS_24);
    EXPECT_EQ(b.timers.armed(), 0U);
    b.clock.advance(48 * 3600 * kNsPerSecond);
    EXPECT_EQ(b.get(REGISTER_C) & c::AF, 0);
}

// Against a search second by second.
TEST(CmosRtcCalendar, NextAlarmIsTheFirstMatch) {
    const CmosTimeFormat format{.binary = true, .hours24 = true};
    const uint8_t values[] = {0, 1, 23, 30, 59, 0xFF};
    for (const uint8_t hour : {uint8_t{0}, uint8_t{7}, uint8_t{23}, uint8_t{0xFF}}) {
        for (const uint8_t minute : values) {
            for (const uint8_t second : values) {
                const CmosAlarm alarm{.second = second, .minute = minute, .hour = hour};
                for (const int64_t start : {0, 25'229, 25'230, 25'231, 86'398, 86'399}) {
                    uint64_t expected = 1;
                    const auto matches = [&](int64_t at) {
                        return (hour == 0xFF || at / 3600 % 24 == hour) &&
                               (minute == 0xFF || at / 60 % 60 == minute) &&
                               (second == 0xFF || at % 60 == second);
                    };
                    while (!matches(start + static_cast<int64_t>(expected)))
                        ++expected;
                    ASSERT_EQ(alarm.seconds_until(start, format), expected)
                        << int{hour} << ':' << int{minute} << ':' << int{second} << " from "
                        << start;
                }
            }
        }
    }
}

TEST(CmosRtc, WallClockThatIsSetBackIsHarmless) {
    CmosBoard b;
    b.set(REGISTER_B, b::UIE | b::HOURS_24);
    b.clock.set_epoch_ns(FakeClock::kDefaultEpochNs - 3600 * kNsPerSecond);
    b.timers.advance(kNsPerSecond);
    EXPECT_EQ(b.get(REGISTER_C) & c::UF, c::UF);
    EXPECT_EQ(b.get(HOURS), 0x22);
}

TEST(CmosRtc, MemoryIsTheGuestsAndTheBoards) {
    CmosBoard b;
    b.chip.set_byte(0x34, 0x12);
    b.set(0x0F, 0xAB);
    EXPECT_EQ(b.get(0x34), 0x12);
    EXPECT_EQ(b.get(0x0F), 0xAB);
}

TEST(CmosRtc, BatteryHoldsTimeAndMemoryOverAReset) {
    CmosBoard b;
    b.set(HOURS, 0x05);
    b.set(0x40, 0x77);
    b.set(REGISTER_B, b::PIE | b::AIE | b::UIE | b::SQWE | b::HOURS_24);
    b.timers.advance(kNsPerSecond);
    b.chip.reset();
    EXPECT_FALSE(b.irq.level());
    EXPECT_EQ(b.get(HOURS), 0x05);
    EXPECT_EQ(b.get(0x40), 0x77);
    EXPECT_EQ(b.get(REGISTER_B), b::HOURS_24);
    EXPECT_EQ(b.get(REGISTER_C), 0);
}

TEST(CmosRtc, SavesItsState) {
    std::vector<std::unique_ptr<CmosBoard>> boards;
    const auto make = [&] {
        boards.push_back(std::make_unique<CmosBoard>());
        return &boards.back()->chip;
    };
    const auto use = [&](CmosRtc&) {  // only what a reset clears
        CmosBoard& b = *boards[1];
        b.set(REGISTER_B, b::PIE | b::HOURS_24);
        b.get(0x55);
    };
    check_saved_state(make, use);
}

TEST(CmosRtc, TimeGoesOnAfterRestore) {
    CmosBoard before;
    before.set(YEAR, 0x30);
    before.set(0x50, 0x99);
    before.set_alarm(0xFF, 0xFF, 0x55);
    before.set(REGISTER_B, b::AIE | b::HOURS_24);
    const auto saved = saved_bytes(before.chip);

    CmosBoard after;
    after.clock.set_epoch_ns(FakeClock::kDefaultEpochNs +
                             3 * kNsPerSecond);  // saved three seconds ago
    StateReader reader(saved);
    ASSERT_TRUE(after.chip.restore(reader));
    EXPECT_EQ(after.now(), (Values{0x20, 0x30, 0x02, 0x28, 0x23, 0x59, 0x53}));
    EXPECT_EQ(after.get(0x50), 0x99);
    after.timers.advance(2 * kNsPerSecond);
    EXPECT_TRUE(after.irq.level());
}

}  // namespace
}  // namespace banyan
