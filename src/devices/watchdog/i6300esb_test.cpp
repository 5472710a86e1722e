#include "devices/watchdog/i6300esb.hpp"

#include <gtest/gtest.h>
#include <memory>

#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

constexpr uint64_t kBase = 0xC000'0000;
constexpr uint64_t kSecond = 1'000'000'000;
// Two stages of so many periods are a bit less than two seconds.
constexpr uint32_t kOneSecond = 1000;

struct WatchdogBoard {
    explicit WatchdogBoard(MachineEvent action = MachineEvent::reset)
        : watchdog(action, {mapper, clock, timers, machine}) {
        watchdog.set_bar_address(0, kBase);
        watchdog.enable_decoding();
    }
    uint32_t read(uint64_t offset, unsigned size = 4) {
        return static_cast<uint32_t>(mapper.read(kBase + offset, size));
    }
    void write(uint64_t offset, uint32_t value, unsigned size = 4) {
        EXPECT_EQ(mapper.write(kBase + offset, size, value), IoStatus::ok);
    }
    // As Linux's driver does it.
    void unlocked(uint64_t offset, uint32_t value, unsigned size = 4) {
        write(0x0C, 0x80, 2);
        write(0x0C, 0x86, 2);
        write(offset, value, size);
    }
    void start(uint8_t lock = 2) {
        watchdog.config_write(0x60, 2, 3);  // no interrupts, output on, 1 kHz
        unlocked(0x00, kOneSecond);
        unlocked(0x04, kOneSecond);
        unlocked(0x0C, 0x100, 2);
        watchdog.config_write(0x68, 1, lock);
    }

    FakeClock clock;
    FakeTimerService timers{clock};
    FakeBarMapper mapper;
    RecordingMachineControl machine;
    I6300Esb watchdog;
};

TEST(I6300Esb, IsTheWatchdogThatDriversKnow) {
    WatchdogBoard b;
    EXPECT_EQ(b.watchdog.config_read(0, 4), 0x25AB'8086U);
    EXPECT_EQ(b.read(0x00), 0xFFFFFU);
    EXPECT_EQ(b.read(0x0C), 0U);
}

TEST(I6300Esb, RegistersAreLocked) {
    WatchdogBoard b;
    b.write(0x00, 5);
    EXPECT_EQ(b.read(0x00), 0xFFFFFU);
    b.write(0x0C, 0x86, 2);
    b.write(0x00, 5);
    EXPECT_EQ(b.read(0x00), 0xFFFFFU) << "80h comes first";
    b.unlocked(0x00, 0xFFF0'0005);
    EXPECT_EQ(b.read(0x00), 5U) << "20 bits";
    b.write(0x00, 6);
    EXPECT_EQ(b.read(0x00), 5U) << "one write a sequence";
}

TEST(I6300Esb, ResetsAfterBothStages) {
    WatchdogBoard b;
    b.start();
    b.timers.advance(19 * kSecond / 10);
    EXPECT_EQ(b.machine.count(), 0U);
    b.timers.advance(kSecond / 10);
    ASSERT_EQ(b.machine.count(), 1U);
    EXPECT_EQ(b.machine.event(), MachineEvent::reset);
    EXPECT_EQ(b.read(0x0C), 0x200U);
}

TEST(I6300Esb, RemembersItsTimeOutOverTheReset) {
    WatchdogBoard b;
    b.start();
    b.timers.advance(2 * kSecond);
    b.watchdog.reset();
    b.watchdog.set_bar_address(0, kBase);
    b.watchdog.enable_decoding();
    EXPECT_EQ(b.read(0x0C), 0x200U);
    EXPECT_EQ(b.read(0x00), 0xFFFFFU);
    b.unlocked(0x0C, 0x300, 2);
    EXPECT_EQ(b.read(0x0C), 0U);
}

TEST(I6300Esb, ReloadKeepsTheGuestAlive) {
    WatchdogBoard b;
    b.start();
    for (unsigned i = 0; i < 5; ++i) {
        b.timers.advance(3 * kSecond / 2);
        b.unlocked(0x0C, 0x100, 2);
    }
    EXPECT_EQ(b.machine.count(), 0U);
}

TEST(I6300Esb, PowersOffIfToldSo) {
    WatchdogBoard b(MachineEvent::power_off);
    b.start();
    b.timers.advance(2 * kSecond);
    EXPECT_EQ(b.machine.event(), MachineEvent::power_off);
}

TEST(I6300Esb, MayBeStoppedUnlessLocked) {
    WatchdogBoard b;
    b.start();
    b.watchdog.config_write(0x68, 1, 0);
    b.timers.advance(10 * kSecond);
    EXPECT_EQ(b.machine.count(), 0U);
    b.start(3);
    b.watchdog.config_write(0x68, 1, 0);
    EXPECT_EQ(b.watchdog.config_read(0x68, 1), 3U);
    b.timers.advance(10 * kSecond);
    EXPECT_EQ(b.machine.count(), 1U);
}

TEST(I6300Esb, FreeRunsWithoutOutput) {
    WatchdogBoard b;
    b.start(2 | 4);
    b.watchdog.config_write(0x60, 2, 0x20);
    b.timers.advance(10 * kSecond);
    EXPECT_EQ(b.machine.count(), 0U);
    EXPECT_EQ(b.read(0x08), 1U) << "the first stage has ended";
    b.write(0x08, 1);
    EXPECT_EQ(b.read(0x08), 0U);
    EXPECT_EQ(b.timers.armed(), 1U);
}

TEST(I6300Esb, SavedState) {
    FakeClock clock;
    FakeTimerService timers(clock);
    FakeBarMapper mapper;
    RecordingMachineControl machine;
    const auto make = [&] {
        return std::make_unique<I6300Esb>(MachineEvent::reset,
                                          I6300Esb::Wiring{mapper, clock, timers, machine});
    };
    check_saved_state(make, [](I6300Esb& watchdog) {
        watchdog.config_write(0x60, 2, 4);
        watchdog.config_write(0x68, 1, 3);
    });
}

}  // namespace
}  // namespace banyan
