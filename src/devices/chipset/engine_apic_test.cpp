#include "devices/chipset/engine_apic.hpp"

#include <gtest/gtest.h>

#include "devices/chipset/local_apic_rig.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fake_engine_apics.hpp"

namespace banyan {
namespace {

constexpr size_t kId = 0x02;
constexpr size_t kLdr = 0x0D;
constexpr size_t kSvr = 0x0F;
constexpr size_t kLvtTimer = 0x32;
constexpr size_t kLint0 = 0x35;
constexpr size_t kLint1 = 0x36;
constexpr size_t kInitialCount = 0x38;
constexpr size_t kCurrentCount = 0x39;
constexpr size_t kDivide = 0x3E;
constexpr uint64_t kX2ApicBase = 0xFEE0'0C00;

class EngineApicTest : public ::testing::Test {
protected:
    ApicRegisters& registers() { return apics.registers[kIndex]; }
    LocalApicStateV1 saved() {
        StateWriter writer;
        apic.save(writer);
        StateReader reader(writer.bytes());
        return *reader.section<LocalApicStateV1>();
    }
    Result<void> load(LocalApicStateV1 state) {
        StateWriter writer;
        writer.section(state);
        StateReader reader(writer.bytes());
        return apic.restore(reader);
    }

    static constexpr unsigned kIndex = 3;
    FakeClock clock;
    FakeEngineApics apics{4};
    EngineApic apic{{.index = kIndex, .clock = clock, .apics = apics}};
};

TEST_F(EngineApicTest, AResetLeavesWhatPowerOnDoes) {
    registers().page[kSvr] = 0x1FF;
    registers().base = kX2ApicBase;

    apic.reset();

    EXPECT_EQ(registers().base, 0xFEE0'0800U);
    EXPECT_EQ(registers().page[kSvr], 0xFFU);
    EXPECT_EQ(registers().page[kId], kIndex << 24);
    EXPECT_EQ(registers().page[kLvtTimer], 0x10000U);
}

TEST_F(EngineApicTest, TheBootProcessorIsMarked) {
    EngineApic first{{.index = 0, .clock = clock, .apics = apics}};
    first.reset();

    EXPECT_EQ(apics.registers[0].base, 0xFEE0'0900U);
}

TEST_F(EngineApicTest, VirtualWireModeIsLocalApics) {
    apic.reset();
    apic.set_virtual_wire_mode();

    EXPECT_EQ(registers().page[kSvr], 0x1FFU);
    EXPECT_EQ(registers().page[kLint0], 0x10700U) << "masked: not the boot processor";
    EXPECT_EQ(registers().page[kLint1], 0x400U);
}

TEST_F(EngineApicTest, ARunningTimerIsSavedByItsExpiry) {
    apic.reset();
    clock.set_now(1'000);
    registers().page[kInitialCount] = 500;
    registers().page[kCurrentCount] = 100;
    registers().page[kDivide] = 0;  // by 2

    const LocalApicStateV1 state = saved();
    EXPECT_TRUE(state.timer_counting);
    EXPECT_EQ(state.timer_expiry_ns, 1'200U);

    clock.set_now(1'100);
    ASSERT_TRUE(load(state));
    EXPECT_EQ(registers().page[kCurrentCount], 50U);
    clock.set_now(5'000);
    ASSERT_TRUE(load(state));
    EXPECT_EQ(registers().page[kCurrentCount], 1U) << "overdue";
}

TEST_F(EngineApicTest, InX2ApicModeTheIdsAreWhole) {
    apic.reset();
    LocalApicStateV1 state = saved();
    state.base = kX2ApicBase;

    ASSERT_TRUE(load(state));

    EXPECT_EQ(registers().page[kId], kIndex);
    EXPECT_EQ(registers().page[kLdr], 1U << kIndex);
}

TEST_F(EngineApicTest, WhatTheEngineRefusesLeavesAResetApic) {
    apic.reset();
    LocalApicStateV1 state = saved();
    state.svr = 0x1FF;
    apics.refuse_next = true;

    const auto loaded = load(state);

    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ErrorCode::invalid_data);
    EXPECT_EQ(registers().page[kSvr], 0xFFU);
}

// A machine saved with the one kind of APIC loads with the other.
TEST_F(EngineApicTest, ItsStateIsThatOfTheChip) {
    ApicRig rig(1);
    LocalApic& chip = rig.apic();
    ASSERT_EQ(chip.mmio_write(0xF0, 4, 0x1FF), IoStatus::ok);
    ASSERT_EQ(chip.mmio_write(0x320, 4, 0x20031), IoStatus::ok);
    ASSERT_EQ(chip.mmio_write(0x380, 4, 100'000), IoStatus::ok);
    chip.accept({.mode = DeliveryMode::fixed, .vector = 0x41});
    StateWriter from_chip;
    chip.save(from_chip);
    EngineApic engine{{.index = 0, .clock = rig.clock, .apics = apics}};

    StateReader reader(from_chip.bytes());
    ASSERT_TRUE(engine.restore(reader));
    StateWriter from_engine;
    engine.save(from_engine);
    StateReader back(from_engine.bytes());
    ASSERT_TRUE(chip.restore(back));

    StateWriter again;
    chip.save(again);
    EXPECT_TRUE(std::ranges::equal(again.bytes(), from_chip.bytes()));
}

}  // namespace
}  // namespace banyan
