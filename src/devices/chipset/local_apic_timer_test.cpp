#include "devices/chipset/local_apic_timer.hpp"

#include <gtest/gtest.h>

#include "devices/chipset/local_apic_rig.hpp"

namespace banyan {
namespace {

using R = ApicRegister;

constexpr uint32_t kVector = 0x61;
constexpr uint32_t kLvtPeriodic = 0x20000;
constexpr uint32_t kLvtTscDeadline = 0x40000;

struct TimerRig : ApicRig {
    explicit TimerRig(uint32_t lvt, uint32_t divide = 0xB) {
        enable();
        write(R::divide, divide);
        write(R::lvt_timer, lvt);
    }
    // How many interrupts come in that time, each handled at once.
    unsigned count(uint64_t ns, uint64_t step) {
        unsigned found = 0;
        for (uint64_t passed = 0; passed < ns; passed += step) {
            timers.advance(step);
            if (!acknowledge()) continue;
            ++found;
            eoi();
        }
        return found;
    }
    uint64_t deadline() {
        uint64_t value = 0;
        BANYAN_ASSERT(apic().read_apic_msr(kMsrTscDeadline, value));
        return value;
    }
    void set_deadline(uint64_t tsc) { BANYAN_ASSERT(apic().write_apic_msr(kMsrTscDeadline, tsc)); }
};

TEST(ApicTimer, OneShotExpiresOnce) {
    TimerRig rig(kVector);
    rig.write(R::initial_count, 1000);
    rig.timers.advance(999);
    EXPECT_EQ(rig.read(R::current_count), 1U);
    EXPECT_FALSE(rig.apic().interrupt_pending());
    rig.timers.advance(1);
    EXPECT_EQ(rig.read(R::current_count), 0U);
    EXPECT_EQ(rig.acknowledge(), kVector);
    rig.eoi();
    EXPECT_EQ(rig.count(1'000'000, 1000), 0U);
    EXPECT_EQ(rig.read(R::initial_count), 1000U);
}

TEST(ApicTimer, EveryDivisor) {
    constexpr uint32_t kCodes[] = {0xB, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xA};
    for (unsigned i = 0; i < 8; ++i) {
        TimerRig rig(kVector, kCodes[i]);
        const uint64_t divisor = uint64_t{1} << i;
        rig.write(R::initial_count, 1000);
        rig.timers.advance(400 * divisor);
        EXPECT_EQ(rig.read(R::current_count), 600U) << divisor;
        rig.timers.advance(600 * divisor - 1);
        EXPECT_FALSE(rig.apic().interrupt_pending());
        rig.timers.advance(1);
        EXPECT_TRUE(rig.apic().interrupt_pending());
    }
}

TEST(ApicTimer, PeriodicDoesNotDrift) {
    TimerRig rig(kVector | kLvtPeriodic);
    rig.write(R::initial_count, 1'000'003);
    // The host is late by a different time each period.
    for (uint64_t period = 1; period <= 1000; ++period) {
        rig.timers.jump(period * 1'000'003 + period * 37 % 1000 - rig.clock.now_ns());
        EXPECT_EQ(rig.acknowledge(), kVector);
        rig.eoi();
        EXPECT_EQ(rig.timers.next_deadline(), (period + 1) * 1'000'003);
    }
}

TEST(ApicTimer, MissedPeriodsMakeOneInterrupt) {
    TimerRig rig(kVector | kLvtPeriodic);
    rig.write(R::initial_count, 1'000'000);
    rig.timers.jump(1'000'500'000);
    EXPECT_EQ(rig.acknowledge(), kVector);
    rig.eoi();
    rig.timers.run_due();
    EXPECT_FALSE(rig.apic().interrupt_pending());
    EXPECT_EQ(rig.timers.next_deadline(), 1'001'000'000U);
}

TEST(ApicTimer, ShortPeriodsDoNotStorm) {
    for (const uint32_t count : {1U, 7U, 49'999U}) {
        TimerRig rig(kVector | kLvtPeriodic);
        rig.write(R::initial_count, count);
        rig.timers.advance(10'000'000);
        EXPECT_LE(rig.timers.fired(), 200U);
        EXPECT_GE(rig.timers.fired(), 99U);
        EXPECT_EQ(rig.timers.next_deadline() % count, 0U) << "in the guest's phase";
        EXPECT_GE(rig.read(R::current_count), 1U);
        EXPECT_LE(rig.read(R::current_count), count);
    }
}

TEST(ApicTimer, MaskedTimerCountsSilently) {
    TimerRig rig(kVector | kMaskedLvt);
    rig.write(R::initial_count, 1000);
    EXPECT_EQ(rig.timers.armed(), 0U);
    rig.timers.advance(600);
    EXPECT_EQ(rig.read(R::current_count), 400U);
    rig.timers.advance(400);
    rig.write(R::lvt_timer, kVector);
    rig.timers.advance(10'000);
    EXPECT_FALSE(rig.apic().interrupt_pending()) << "it expired while it was masked";
}

TEST(ApicTimer, UnmaskedInTimeItInterrupts) {
    TimerRig rig(kVector | kMaskedLvt);
    rig.write(R::initial_count, 1000);
    rig.timers.advance(600);
    rig.write(R::lvt_timer, kVector);
    rig.timers.advance(400);
    EXPECT_EQ(rig.acknowledge(), kVector);
}

TEST(ApicTimer, MaskingDoesNotHideAnExpiryThatTheHostIsLateWith) {
    TimerRig rig(kVector);
    rig.write(R::initial_count, 1000);
    rig.clock.advance(1500);
    rig.write(R::lvt_timer, kVector | kMaskedLvt);
    EXPECT_EQ(rig.acknowledge(), kVector);
}

TEST(ApicTimer, ZeroStops) {
    TimerRig rig(kVector | kLvtPeriodic);
    rig.write(R::initial_count, 1'000'000);
    rig.write(R::initial_count, 0);
    EXPECT_EQ(rig.timers.armed(), 0U);
    EXPECT_EQ(rig.read(R::current_count), 0U);
    EXPECT_EQ(rig.count(10'000'000, 500'000), 0U);
}

TEST(ApicTimer, ModeChangeBetweenOneShotAndPeriodicGoesOn) {
    TimerRig rig(kVector | kLvtPeriodic);
    rig.write(R::initial_count, 1'000'000);
    rig.timers.advance(400'000);
    rig.write(R::lvt_timer, kVector);
    EXPECT_EQ(rig.read(R::current_count), 600'000U);
    EXPECT_EQ(rig.count(5'000'000, 100'000), 1U);
    rig.write(R::lvt_timer, kVector | kLvtPeriodic);
    EXPECT_EQ(rig.read(R::current_count), 0U) << "an expired timer needs a new count";
}

TEST(ApicTimer, DivideChangeKeepsTheCount) {
    TimerRig rig(kVector);
    rig.write(R::initial_count, 1000);
    rig.timers.advance(200);
    rig.write(R::divide, 0x1);  // by 4
    EXPECT_EQ(rig.read(R::current_count), 800U);
    rig.timers.advance(3199);
    EXPECT_FALSE(rig.apic().interrupt_pending());
    rig.timers.advance(1);
    EXPECT_TRUE(rig.apic().interrupt_pending());
}

TEST(ApicTimer, TscDeadlineFiresOnce) {
    TimerRig rig(kVector | kLvtTscDeadline);
    rig.set_deadline(5000);
    EXPECT_EQ(rig.deadline(), 5000U);
    rig.timers.advance(4999);
    EXPECT_FALSE(rig.apic().interrupt_pending());
    rig.timers.advance(1);
    EXPECT_EQ(rig.acknowledge(), kVector);
    EXPECT_EQ(rig.deadline(), 0U);
    EXPECT_EQ(rig.timers.armed(), 0U);
}

TEST(ApicTimer, PassedDeadlineFiresAtOnce) {
    TimerRig rig(kVector | kLvtTscDeadline);
    rig.clock.advance(1000);
    rig.set_deadline(1000);
    EXPECT_EQ(rig.acknowledge(), kVector);
}

TEST(ApicTimer, DeadlineZeroDisarms) {
    TimerRig rig(kVector | kLvtTscDeadline);
    rig.set_deadline(5000);
    rig.set_deadline(0);
    rig.timers.advance(10'000);
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

TEST(ApicTimer, FarDeadlineDoesNotOverflow) {
    TimerRig rig(kVector | kLvtTscDeadline);
    rig.clock.advance(1'000'000);
    rig.set_deadline(~uint64_t{0});
    EXPECT_GE(rig.timers.next_deadline(), bit(62));
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

TEST(ApicTimer, DeadlineIsInTheGuestsTime) {
    TimerRig rig(kVector | kLvtTscDeadline);
    rig.clock.advance(10'000);
    rig.apic().set_tsc_offset(~uint64_t{10'000} + 1);  // the guest wrote 0 to its TSC
    rig.set_deadline(5000);
    EXPECT_EQ(rig.timers.next_deadline(), 15'000U);
    rig.apic().set_tsc_offset(0);
    EXPECT_EQ(rig.acknowledge(), kVector) << "the TSC jumped past the deadline";
}

TEST(ApicTimer, DeadlineModeIgnoresTheCounter) {
    TimerRig rig(kVector | kLvtTscDeadline);
    rig.write(R::initial_count, 1000);
    EXPECT_EQ(rig.read(R::initial_count), 0U);
    EXPECT_EQ(rig.read(R::current_count), 0U);
    EXPECT_EQ(rig.timers.armed(), 0U);
}

TEST(ApicTimer, OtherModesIgnoreTheDeadline) {
    TimerRig rig(kVector);
    rig.set_deadline(1000);
    EXPECT_EQ(rig.deadline(), 0U);
    EXPECT_EQ(rig.timers.armed(), 0U);
}

TEST(ApicTimer, LeavingDeadlineModeDisarms) {
    TimerRig rig(kVector | kLvtTscDeadline);
    rig.set_deadline(1000);
    rig.write(R::lvt_timer, kVector);
    rig.write(R::lvt_timer, kVector | kLvtTscDeadline);
    EXPECT_EQ(rig.deadline(), 0U);
    rig.timers.advance(2000);
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

TEST(ApicTimer, SoftwareDisableSilencesIt) {
    TimerRig rig(kVector | kLvtPeriodic);
    rig.write(R::initial_count, 1'000'000);
    rig.write(R::svr, 0xFF);
    EXPECT_EQ(rig.timers.armed(), 0U);
    rig.timers.advance(5'000'000);
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

}  // namespace
}  // namespace banyan
