#include "devices/chipset/acpi_pm.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "devices/chipset/acpi_pm_regs.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using namespace acpi;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint16_t kStatus = AcpiPm::kPm1EventPort;
constexpr uint16_t kEnable = AcpiPm::kPm1EventPort + 2;
constexpr uint16_t kControl = AcpiPm::kPm1ControlPort;
constexpr uint16_t kGpeStatus = AcpiPm::kGpe0Port;
constexpr uint16_t kGpeEnable = AcpiPm::kGpe0Port + 2;

struct Board {
    FakeClock clock;
    FakeTimerService timers{clock};
    RecordingIrq irq;
    RecordingMachineControl machine;
    AcpiPm chip{{clock, timers, irq.line(), machine}};

    uint32_t in(uint16_t port, unsigned size = 2) {
        uint32_t value = 0;
        EXPECT_EQ(chip.port_read(port, size, value), IoStatus::ok);
        return value;
    }
    void out(uint16_t port, unsigned value, unsigned size = 2) {
        EXPECT_EQ(chip.port_write(port, size, value), IoStatus::ok);
    }
    void enable_acpi() { out(AcpiPm::kSmiCommandPort, AcpiPm::kAcpiEnable, 1); }
};

TEST(AcpiPm, SmiCommandSwitchesAcpiOnAndOff) {
    Board b;
    EXPECT_EQ(b.in(kControl), 0U);
    b.enable_acpi();
    EXPECT_EQ(b.in(kControl), control::SCI_EN);
    b.out(AcpiPm::kSmiCommandPort + 1, 0x55, 1);
    b.out(AcpiPm::kSmiCommandPort, AcpiPm::kAcpiDisable, 1);
    EXPECT_EQ(b.in(kControl), 0U);
    EXPECT_EQ(b.in(AcpiPm::kSmiCommandPort), 0x5503U);
}

TEST(AcpiPm, ControlKeepsSciEnableWhateverIsWritten) {
    Board b;
    b.out(kControl, control::SCI_EN | control::BM_RLD | control::GBL_RLS | 0x1400);
    EXPECT_EQ(b.in(kControl), control::BM_RLD | 0x1400U);
    b.enable_acpi();
    b.out(kControl, 0);
    EXPECT_EQ(b.in(kControl), control::SCI_EN);
}

TEST(AcpiPm, PowerButtonRaisesTheSciUntilItIsCleared) {
    Board b;
    b.enable_acpi();
    b.out(kEnable, pm1::PWRBTN);
    b.chip.press_power_button();
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.in(kStatus), pm1::PWRBTN);
    b.out(kStatus, static_cast<uint16_t>(~pm1::PWRBTN));
    EXPECT_TRUE(b.irq.level()) << "only ones clear";
    b.out(kStatus, pm1::PWRBTN);
    EXPECT_FALSE(b.irq.level());
    EXPECT_EQ(b.in(kStatus), 0U);
}

TEST(AcpiPm, NoSciWithoutEnableOrAcpi) {
    Board b;
    b.chip.press_power_button();
    EXPECT_FALSE(b.irq.level());
    b.out(kEnable, 0xFFFF);
    EXPECT_EQ(b.in(kEnable), pm1::kEnable);
    EXPECT_FALSE(b.irq.level()) << "not in ACPI mode";
    b.enable_acpi();
    EXPECT_TRUE(b.irq.level());
    b.out(kEnable, 0);
    EXPECT_FALSE(b.irq.level());
}

TEST(AcpiPm, RegistersCanBeAccessedByBytesAndDoubleWords) {
    Board b;
    b.enable_acpi();
    b.chip.press_power_button();
    b.out(kStatus, uint32_t{pm1::GBL} << 16, 4);
    EXPECT_EQ(b.in(kStatus, 4), uint32_t{pm1::GBL} << 16 | pm1::PWRBTN);
    b.out(kEnable + 1, 0x01, 1);
    EXPECT_EQ(b.in(kEnable), pm1::PWRBTN | pm1::GBL);
    EXPECT_TRUE(b.irq.level());
    b.out(kStatus + 1, 0x01, 1);
    EXPECT_FALSE(b.irq.level());
}

TEST(AcpiPm, GeneralEvents) {
    Board b;
    b.enable_acpi();
    b.chip.raise_general_event(9);
    EXPECT_FALSE(b.irq.level());
    b.out(kGpeEnable, 0x0200);
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.in(kGpeStatus, 4), 0x02000200U);
    b.out(kGpeStatus + 1, 0x02, 1);
    EXPECT_FALSE(b.irq.level());
    EXPECT_EQ(b.in(kGpeStatus), 0U);
}

TEST(AcpiPm, TimerCountsAtItsRateInTwentyFourBits) {
    Board b;
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort, 4), 0U);
    b.clock.advance(kSecond);
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort, 4), 3'579'545U);
    b.clock.advance(9 * kSecond);
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort, 4), 35'795'450U % (1U << 24));
    b.out(AcpiPm::kPmTimerPort, 0, 4);
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort, 4), 35'795'450U % (1U << 24)) << "read only";
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort + 1, 1) & 0xFF, (35'795'450U >> 8) & 0xFF);
}

TEST(AcpiPm, TimerStatusIsSetWhenTheHighestBitChanges) {
    Board b;
    b.clock.advance(2'343'000'000);  // the bit changes every 2.3435 s
    EXPECT_EQ(b.in(kStatus), 0U);
    b.clock.advance(1'000'000);
    EXPECT_EQ(b.in(kStatus), pm1::TMR);
    EXPECT_EQ(b.timers.armed(), 0U) << "nobody waits for it";
}

TEST(AcpiPm, TimerInterruptsWhenEnabled) {
    Board b;
    b.enable_acpi();
    b.out(kEnable, pm1::TMR);
    for (unsigned i = 1; i <= 4; ++i) {
        b.timers.advance(2'343'500'000);
        EXPECT_EQ(b.irq.rises(), i);
        b.out(kStatus, pm1::TMR);
        EXPECT_FALSE(b.irq.level());
    }
    b.timers.advance(100 * kSecond);
    EXPECT_EQ(b.timers.fired(), 5U) << "once it is set, the timer rests";
}

TEST(AcpiPm, SleepTypeFiveWithSleepEnablePowersOff) {
    Board b;
    b.out(kControl, AcpiPm::kSleepTypeS5 << control::kSleepTypeShift);
    EXPECT_EQ(b.machine.count(), 0U);
    b.out(kControl, AcpiPm::kSleepTypeS5 << control::kSleepTypeShift | control::SLP_EN);
    EXPECT_EQ(b.machine.count(), 1U);
    EXPECT_EQ(b.machine.event(), MachineEvent::power_off);
    EXPECT_EQ(b.in(kControl)&control::SLP_EN, 0U) << "SLP_EN reads 0";
}

TEST(AcpiPm, OtherSleepTypesDoNothing) {
    Board b;
    b.out(kControl, 1U << control::kSleepTypeShift | control::SLP_EN);
    EXPECT_EQ(b.machine.count(), 0U);
}

TEST(AcpiPm, ResetRegister) {
    Board b;
    b.out(AcpiPm::kResetPort, 0x02, 1);
    EXPECT_EQ(b.in(AcpiPm::kResetPort, 1), 0x02U);
    EXPECT_EQ(b.machine.count(), 0U);
    b.out(AcpiPm::kResetPort, AcpiPm::kResetValue, 1);
    EXPECT_EQ(b.machine.count(), 1U);
    EXPECT_EQ(b.machine.event(), MachineEvent::reset);
}

TEST(AcpiPm, SavesItsState) {
    std::vector<std::unique_ptr<Board>> boards;
    const auto make = [&] {
        boards.push_back(std::make_unique<Board>());
        return &boards.back()->chip;
    };
    const auto use = [&](AcpiPm& chip) {
        Board& b = *boards[1];
        b.enable_acpi();
        b.out(kEnable, pm1::PWRBTN | pm1::TMR);
        b.out(kGpeEnable, 0x8001);
        chip.raise_general_event(15);
        chip.press_power_button();
        b.out(kControl, 0x1000);
        b.out(AcpiPm::kResetPort, 0x0A, 1);
    };
    check_saved_state(make, use);
}

TEST(AcpiPm, EventSurvivesRestore) {
    Board before;
    before.enable_acpi();
    before.out(kEnable, pm1::PWRBTN);
    before.chip.press_power_button();
    const auto saved = saved_bytes(before.chip);

    Board after;
    StateReader reader(saved);
    ASSERT_TRUE(after.chip.restore(reader));
    EXPECT_TRUE(after.irq.level());
    EXPECT_EQ(after.in(kStatus), pm1::PWRBTN);
}

}  // namespace
}  // namespace banyan
