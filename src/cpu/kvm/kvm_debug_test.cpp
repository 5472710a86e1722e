#include "cpu/kvm/kvm_debug.hpp"

#include <gtest/gtest.h>

#include "cpu/kvm/kvm_testing.hpp"

namespace banyan::kvm {
namespace {

constexpr uint32_t kDb = 1;
constexpr uint32_t kBp = 3;
constexpr uint64_t kDr6Step = 0x4000;

// Remembers what KVM was asked for last.
class KvmDebugTest : public testing::Test {
protected:
    void SetUp() override {
        handle.on<kvm_guest_debug>(KVM_SET_GUEST_DEBUG, [this](const kvm_guest_debug& wanted) {
            if ((wanted.control & refused) != 0) return -EINVAL;
            asked = wanted;
            return 0;
        });
    }
    bool asked_for(uint32_t control) const { return (asked.control & control) == control; }

    FakeHandle handle;
    uint32_t refused = 0;
    kvm_guest_debug asked{};
    KvmDebug debug{handle};
};

TEST_F(KvmDebugTest, NothingIsAskedForWhileNobodyDebugs) {
    EXPECT_TRUE(debug.set({}));

    EXPECT_EQ(handle.count(KVM_SET_GUEST_DEBUG), 0U);
}

TEST_F(KvmDebugTest, BreakpointsAreInt3) {
    EXPECT_TRUE(debug.set({.breakpoints = {0x1000}}));
    EXPECT_EQ(asked.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);

    EXPECT_TRUE(debug.set({}));
    EXPECT_EQ(asked.control, 0U);
}

TEST_F(KvmDebugTest, AStepHoldsInterruptsBackWhereKvmCan) {
    EXPECT_TRUE(debug.set({.single_step = true}));
    EXPECT_TRUE(asked_for(KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ));

    refused = KVM_GUESTDBG_BLOCKIRQ;
    EXPECT_TRUE(debug.set({.single_step = true}));
    EXPECT_TRUE(asked_for(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP));
    EXPECT_FALSE(asked_for(KVM_GUESTDBG_BLOCKIRQ));
}

TEST_F(KvmDebugTest, PointsAreDebugRegisters) {
    EXPECT_TRUE(debug.set({.points = {{DebugAccess::execute, 0x1001, 1},
                                      {DebugAccess::write, 0x2000, 4},
                                      {DebugAccess::access, 0x3000, 8}}}));

    EXPECT_TRUE(asked_for(KVM_GUESTDBG_USE_HW_BP));
    EXPECT_EQ(asked.arch.debugreg[0], 0x1001U);
    EXPECT_EQ(asked.arch.debugreg[1], 0x2000U);
    EXPECT_EQ(asked.arch.debugreg[2], 0x3000U);
    EXPECT_EQ(asked.arch.debugreg[7], 0x0BD0042AU);
}

TEST_F(KvmDebugTest, AKvmWithoutItSaysSo) {
    refused = KVM_GUESTDBG_ENABLE;

    const auto set = debug.set({.single_step = true});

    ASSERT_FALSE(set);
    EXPECT_NE(set.error().text().find("debug a vCPU with KVM"), std::string_view::npos);
}

TEST_F(KvmDebugTest, AnExitSaysWhatCame) {
    const DebugPoint point{DebugAccess::write, 0x2000, 4};
    EXPECT_TRUE(debug.set({.single_step = true, .breakpoints = {0x1000}, .points = {point}}));

    EXPECT_EQ(
        debug.handle({.exception = kBp, .pad = 0, .pc = 0x1000, .dr6 = 0, .dr7 = 0})->debug.event,
        DebugEvent::breakpoint);
    const auto hit =
        debug.handle({.exception = kDb, .pad = 0, .pc = 0, .dr6 = kDr6Step | 1, .dr7 = 0});
    EXPECT_EQ(hit->debug.event, DebugEvent::point);
    EXPECT_EQ(hit->debug.point, point);
    EXPECT_EQ(
        debug.handle({.exception = kDb, .pad = 0, .pc = 0, .dr6 = kDr6Step, .dr7 = 0})->debug.event,
        DebugEvent::step);
}

TEST_F(KvmDebugTest, TheGuestsInt3IsGivenBack) {
    EXPECT_TRUE(debug.set({.breakpoints = {0x1000}}));

    EXPECT_FALSE(debug.handle({.exception = kBp, .pad = 0, .pc = 0x1001, .dr6 = 0, .dr7 = 0}));

    EXPECT_TRUE(asked_for(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_INJECT_BP));
}

// TF of the guest's own, while the debugger watches something.
TEST_F(KvmDebugTest, TheGuestsTrapIsGivenBackWithItsReason) {
    kvm_debugregs registers{};
    registers.dr6 = 0xFFFF0FF1;
    handle.on<kvm_debugregs>(KVM_GET_DEBUGREGS, [&](kvm_debugregs& to) {
        to = registers;
        return 0;
    });
    handle.on<kvm_debugregs>(KVM_SET_DEBUGREGS, [&](const kvm_debugregs& from) {
        registers = from;
        return 0;
    });
    EXPECT_TRUE(debug.set({.points = {{DebugAccess::write, 0x2000, 4}}}));

    EXPECT_FALSE(
        debug.handle({.exception = kDb, .pad = 0, .pc = 0, .dr6 = kDr6Step | 0xFF0, .dr7 = 0}));

    EXPECT_TRUE(asked_for(KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB));
    EXPECT_EQ(registers.dr6, 0xFFFF4FF0U);
}

}  // namespace
}  // namespace banyan::kvm
