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

constexpr uint16_t kPm1Status = AcpiPm::kPm1EventPort;
constexpr uint16_t kPm1Enable = AcpiPm::kPm1EventPort + 2;
constexpr uint16_t kPm1Control = AcpiPm::kPm1ControlPort;
constexpr uint16_t kGpeStatus = AcpiPm::kGpe0Port;
constexpr uint16_t kGpeEnable = AcpiPm::kGpe0Port + 2;

struct AcpiPmBoard {
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
    AcpiPmBoard b;
    EXPECT_EQ(b.in(kPm1Control), 0U);
    b.enable_acpi();
    EXPECT_EQ(b.in(kPm1Control), control::SCI_EN);
    b.out(AcpiPm::kSmiCommandPort + 1, 0x55, 1);
    b.out(AcpiPm::kSmiCommandPort, AcpiPm::kAcpiDisable, 1);
    EXPECT_EQ(b.in(kPm1Control), 0U);
    EXPECT_EQ(b.in(AcpiPm::kSmiCommandPort), 0x5503U);
}

TEST(AcpiPm, ControlKeepsSciEnableWhateverIsWritten) {
    AcpiPmBoard b;
    b.out(kPm1Control, control::SCI_EN | control::BM_RLD | control::GBL_RLS | 0x1400);
    EXPECT_EQ(b.in(kPm1Control), control::BM_RLD | 0x1400U);
    b.enable_acpi();
    b.out(kPm1Control, 0);
    EXPECT_EQ(b.in(kPm1Control), control::SCI_EN);
}

TEST(AcpiPm, PowerButtonRaisesTheSciUntilItIsCleared) {
    AcpiPmBoard b;
    b.enable_acpi();
    b.out(kPm1Enable, pm1::PWRBTN);
    b.chip.press_power_button();
    EXPECT_TRUE(b.irq.level());
    EXPECT_EQ(b.in(kPm1Status), pm1::PWRBTN);
    b.out(kPm1Status, static_cast<uint16_t>(~pm1::PWRBTN));
    EXPECT_TRUE(b.irq.level()) << "only ones clear";
    b.out(kPm1Status, pm1::PWRBTN);
    EXPECT_FALSE(b.irq.level());
    EXPECT_EQ(b.in(kPm1Status), 0U);
}

TEST(AcpiPm, NoSciWithoutEnableOrAcpi) {
    AcpiPmBoard b;
    b.chip.press_power_button();
    EXPECT_FALSE(b.irq.level());
    b.out(kPm1Enable, 0xFFFF);
    EXPECT_EQ(b.in(kPm1Enable), pm1::kEnable);
    EXPECT_FALSE(b.irq.level()) << "not in ACPI mode";
    b.enable_acpi();
    EXPECT_TRUE(b.irq.level());
    b.out(kPm1Enable, 0);
    EXPECT_FALSE(b.irq.level());
}

TEST(AcpiPm, RegistersCanBeAccessedByBytesAndDoubleWords) {
    AcpiPmBoard b;
    b.enable_acpi();
    b.chip.press_power_button();
    b.out(kPm1Status, uint32_t{pm1::GBL} << 16, 4);
    EXPECT_EQ(b.in(kPm1Status, 4), uint32_t{pm1::GBL} << 16 | pm1::PWRBTN);
    b.out(kPm1Enable + 1, 0x01, 1);
    EXPECT_EQ(b.in(kPm1Enable), pm1::PWRBTN | pm1::GBL);
    EXPECT_TRUE(b.irq.level());
    b.out(kPm1Status + 1, 0x01, 1);
    EXPECT_FALSE(b.irq.level());
}

TEST(AcpiPm, GeneralEvents) {
    AcpiPmBoard b;
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
    AcpiPmBoard b;
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort, 4), 0U);
    b.clock.advance(kNsPerSecond);
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort, 4), 3'579'545U);
    b.clock.advance(9 * kNsPerSecond);
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort, 4), 35'795'450U % (1U << 24));
    b.out(AcpiPm::kPmTimerPort, 0, 4);
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort, 4), 35'795'450U % (1U << 24)) << "read only";
    EXPECT_EQ(b.in(AcpiPm::kPmTimerPort + 1, 1) & 0xFF, (35'795'450U >> 8) & 0xFF);
}

TEST(AcpiPm, TimerStatusIsSetWhenTheHighestBitChanges) {
    AcpiPmBoard b;
    b.clock.advance(2'343'000'000);  // the bit changes every 2.3435 s
    EXPECT_EQ(b.in(kPm1Status), 0U);
    b.clock.advance(1'000'000);
    EXPECT_EQ(b.in(kPm1Status), pm1::TMR);
    EXPECT_EQ(b.timers.armed(), 0U) << "nobody waits for it";
}

TEST(AcpiPm, TimerInterruptsWhenEnabled) {
    AcpiPmBoard b;
    b.enable_acpi();
    b.out(kPm1Enable, pm1::TMR);
    for (unsigned i = 1; i <= 4; ++i) {
        b.timers.advance(2'343'500'000);
        EXPECT_EQ(b.irq.rises(), i);
        b.out(kPm1Status, pm1::TMR);
        EXPECT_FALSE(b.irq.level());
    }
    b.timers.advance(100 * kNsPerSecond);
    EXPECT_EQ(b.timers.fired(), 5U) << "once it is set, the timer rests";
}

TEST(AcpiPm, SleepTypeFiveWithSleepEnablePowersOff) {
    AcpiPmBoard b;
    b.out(kPm1Control, AcpiPm::kSleepTypeS5 << control::kSleepTypeShift);
    EXPECT_EQ(b.machine.count(), 0U);
    b.out(kPm1Control, AcpiPm::kSleepTypeS5 << control::kSleepTypeShift | control::SLP_EN);
    EXPECT_EQ(b.machine.count(), 1U);
    EXPECT_EQ(b.machine.event(), MachineEvent::power_off);
    EXPECT_EQ(b.in(kPm1Control)&control::SLP_EN, 0U) << "SLP_EN reads 0";
}

TEST(AcpiPm, OtherSleepTypesDoNothing) {
    AcpiPmBoard b;
    b.out(kPm1Control, 1U << control::kSleepTypeShift | control::SLP_EN);
    EXPECT_EQ(b.machine.count(), 0U);
}

TEST(AcpiPm, ResetRegister) {
    AcpiPmBoard b;
    b.out(AcpiPm::kResetPort, 0x02, 1);
    EXPECT_EQ(b.in(AcpiPm::kResetPort, 1), 0x02U);
    EXPECT_EQ(b.machine.count(), 0U);
    b.out(AcpiPm::kResetPort, AcpiPm::kResetValue, 1);
    EXPECT_EQ(b.machine.count(), 1U);
    EXPECT_EQ(b.machine.event(), MachineEvent::reset);
}

TEST(AcpiPm, SavesItsState) {
    std::vector<std::unique_ptr<AcpiPmBoard>> boards;
    const auto make = [&] {
        boards.push_back(std::make_unique<AcpiPmBoard>());
        return &boards.back()->chip;
    };
    const auto use = [&](AcpiPm& chip) {
        AcpiPmBoard& b = *boards[1];
        b.enable_acpi();
        b.out(kPm1Enable, pm1::PWRBTN | pm1::TMR);
        b.out(kGpeEnable, 0x8001);
        chip.raise_general_event(15);
        chip.press_power_button();
        b.out(kPm1Control, 0x1000);
        b.out(AcpiPm::kResetPort, 0x0A, 1);
    };
    check_saved_state(make, use);
}

TEST(AcpiPm, EventSurvivesRestore) {
    AcpiPmBoard before;
    before.enable_acpi();
    before.out(kPm1Enable, pm1::PWRBTN);
    before.chip.press_power_button();
    const auto saved = saved_bytes(before.chip);

    AcpiPmBoard after;
    StateReader reader(saved);
    ASSERT_TRUE(after.chip.restore(reader));
    EXPECT_TRUE(after.irq.level());
    EXPECT_EQ(after.in(kPm1Status), pm1::PWRBTN);
}

}  // namespace
}  // namespace banyan
