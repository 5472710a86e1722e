#include "devices/chipset/local_apic_pv_eoi.hpp"

#include <gtest/gtest.h>

#include "devices/chipset/local_apic_rig.hpp"
#include "snapshot/state.hpp"

namespace banyan {
namespace {

using R = ApicRegister;

struct PvEoiRig : ApicRig {
    static constexpr Gpa kWord{0x1004};

    PvEoiRig() {
        enable();
        BANYAN_ASSERT(apic().set_pv_eoi(kWord.value | 1));
    }
    uint32_t word() {
        uint32_t value = 0;
        BANYAN_ASSERT(ram.memory().read_object(kWord, value));
        return value;
    }
    void set_word(uint32_t value) { BANYAN_ASSERT(ram.memory().write_object(kWord, value)); }

    // As a guest ends an interrupt: test and clear, else the register. True: without an exit.
    bool guest_eoi() {
        if ((word() & 1) != 0) {
            set_word(word() & ~1U);
            return true;
        }
        eoi();
        return false;
    }
};

TEST(PvEoi, RegisterChecksTheAddress) {
    PvEoiRig rig;
    EXPECT_EQ(rig.apic().pv_eoi(), 0x1005U);
    EXPECT_FALSE(rig.apic().set_pv_eoi(0x1003)) << "not aligned";
    EXPECT_FALSE(rig.apic().set_pv_eoi(ApicRig::kRamSize | 1)) << "not RAM";
    EXPECT_FALSE(rig.apic().set_pv_eoi(~uint64_t{2})) << "not RAM, and it wraps";
    EXPECT_EQ(rig.apic().pv_eoi(), 0x1005U);
    EXPECT_TRUE(rig.apic().set_pv_eoi(0));
}

TEST(PvEoi, EndsWithoutTheRegister) {
    PvEoiRig rig;
    rig.request(0x61);
    EXPECT_EQ(rig.acknowledge(), 0x61);
    EXPECT_EQ(rig.word(), 1U);
    EXPECT_TRUE(rig.guest_eoi());
    rig.request(0x61);
    EXPECT_TRUE(rig.apic().interrupt_pending());
    EXPECT_EQ(rig.acknowledge(), 0x61);
    EXPECT_TRUE(rig.guest_eoi());
    EXPECT_FALSE(rig.test(R::isr, 0x61)) << "a look at the ISR sees the end";
}

TEST(PvEoi, KeepsTheOtherBitsOfTheWord) {
    PvEoiRig rig;
    rig.set_word(0xABCD'0000);
    rig.request(0x61);
    ASSERT_TRUE(rig.acknowledge());
    EXPECT_EQ(rig.word(), 0xABCD'0001U);
    EXPECT_TRUE(rig.test(R::isr, 0x61));
    EXPECT_EQ(rig.word(), 0xABCD'0000U) << "taken back";
}

TEST(PvEoi, LowerInterruptWaitsForTheEnd) {
    PvEoiRig rig;
    rig.request(0x61);
    ASSERT_TRUE(rig.acknowledge());
    rig.request(0x51);
    // The vCPU is asked to look; the guest has not ended the first yet.
    EXPECT_TRUE(rig.apic().interrupt_pending());
    EXPECT_EQ(rig.acknowledge(), std::nullopt);
    EXPECT_FALSE(rig.apic().interrupt_pending());
    EXPECT_EQ(rig.word(), 0U);
    const unsigned signals = rig.signals[0]->interrupts;
    EXPECT_FALSE(rig.guest_eoi()) << "the end is needed now";
    EXPECT_EQ(rig.signals[0]->interrupts, signals + 1);
    EXPECT_EQ(rig.acknowledge(), 0x51);
}

TEST(PvEoi, LowerInterruptFollowsASilentEnd) {
    PvEoiRig rig;
    rig.request(0x61);
    ASSERT_TRUE(rig.acknowledge());
    EXPECT_TRUE(rig.guest_eoi());
    rig.request(0x51);
    EXPECT_EQ(rig.signals[0]->interrupts, 2U);
    EXPECT_EQ(rig.acknowledge(), 0x51);
    EXPECT_EQ(rig.word(), 1U);
}

TEST(PvEoi, TaskPriorityStillHolds) {
    PvEoiRig rig;
    rig.request(0x61);
    ASSERT_TRUE(rig.acknowledge());
    rig.apic().write_cr8(5);
    rig.request(0x51);
    EXPECT_FALSE(rig.apic().interrupt_pending());
}

TEST(PvEoi, NestedInterruptEndsByTheRegister) {
    PvEoiRig rig;
    rig.request(0x51);
    ASSERT_EQ(rig.acknowledge(), 0x51);
    rig.request(0x61);
    ASSERT_EQ(rig.acknowledge(), 0x61);
    EXPECT_EQ(rig.word(), 0U) << "two in service: ends must be told apart";
    EXPECT_FALSE(rig.guest_eoi());
    EXPECT_TRUE(rig.test(R::isr, 0x51));
    EXPECT_FALSE(rig.guest_eoi());
    EXPECT_FALSE(rig.test(R::isr, 0x51));
}

TEST(PvEoi, NotOfferedWhileAnotherWaits) {
    PvEoiRig rig;
    rig.request(0x51);
    rig.request(0x61);
    ASSERT_EQ(rig.acknowledge(), 0x61);
    EXPECT_EQ(rig.word(), 0U);
    rig.eoi();
    ASSERT_EQ(rig.acknowledge(), 0x51);
    EXPECT_EQ(rig.word(), 1U);
}

TEST(PvEoi, LevelInterruptEndsByTheRegister) {
    struct Listener final : EoiListener {
        void end_of_interrupt(uint8_t vector) override { ended = vector; }
        uint8_t ended = 0;
    } listener;
    PvEoiRig rig;
    rig.bus.add(listener);
    rig.request(0x61, TriggerMode::level);
    ASSERT_TRUE(rig.acknowledge());
    EXPECT_EQ(rig.word(), 0U);
    rig.eoi();
    EXPECT_EQ(listener.ended, 0x61);
}

TEST(PvEoi, GuestMayWriteTheRegisterAllTheSame) {
    PvEoiRig rig;
    rig.request(0x61);
    ASSERT_TRUE(rig.acknowledge());
    rig.eoi();
    EXPECT_EQ(rig.word(), 0U);
    EXPECT_FALSE(rig.test(R::isr, 0x61));
}

TEST(PvEoi, DisablingSettlesTheOffer) {
    PvEoiRig rig;
    rig.request(0x61);
    ASSERT_TRUE(rig.acknowledge());
    EXPECT_TRUE(rig.guest_eoi());
    EXPECT_TRUE(rig.apic().set_pv_eoi(0));
    EXPECT_FALSE(rig.test(R::isr, 0x61));
    rig.request(0x61);
    ASSERT_TRUE(rig.acknowledge());
    EXPECT_EQ(rig.word(), 0U);
}

TEST(PvEoi, WorksInX2ApicMode) {
    PvEoiRig rig;
    rig.enter_x2apic();
    rig.request(0x61);
    ASSERT_TRUE(rig.acknowledge());
    EXPECT_TRUE(rig.guest_eoi());
    EXPECT_EQ(rig.read_msr(R::ppr), 0U);
}

TEST(PvEoi, OfferIsPartOfTheSavedState) {
    PvEoiRig before;
    before.request(0x61);
    ASSERT_TRUE(before.acknowledge());
    StateWriter writer;
    before.apic().save(writer);

    ApicRig after;
    uint32_t ended = 0;  // the guest clears the word after it was loaded
    ASSERT_TRUE(after.ram.memory().write_object(PvEoiRig::kWord, ended));
    StateReader reader(writer.bytes());
    ASSERT_TRUE(after.apic().restore(reader));
    after.request(0x51);
    EXPECT_EQ(after.acknowledge(), 0x51);
}

}  // namespace
}  // namespace banyan
