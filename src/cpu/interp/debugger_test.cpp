#include "cpu/interp/debugger.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/debug.hpp"
#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

constexpr int kIncEbx = 0x43;
constexpr int kHlt = 0xF4;
constexpr int kInt3 = 0xCC;
constexpr uint8_t kInterrupt = 0x41;

void step_each(TestMachine& m) {
    m.cpu().set_debug({.single_step = true});
}
void watch(TestMachine& m, DebugPoint point) {
    m.cpu().set_debug({.points = {point}});
}
void break_at(TestMachine& m, uint64_t linear) {
    m.cpu().set_debug({.breakpoints = {linear}});
}

// Runs to a stop for the debugger, or to what says that there was none.
std::optional<DebugStop> next_stop(TestMachine& m) {
    const Exit exit = m.cpu().run();
    if (exit.reason != ExitReason::debug) return std::nullopt;
    return exit.debug;
}
bool stops_after_step(TestMachine& m) {
    const auto stop = next_stop(m);
    return stop && stop->event == DebugEvent::step;
}
void allow_interrupts(TestMachine& m) {
    m.cpu().system_flags |= x86::kIf;
    m.cpu().mode_changed();
}
bool in_shadow(TestMachine& m) {
    x86::RegisterState state;
    m.cpu().get_state(state);
    return state.events.interrupt_shadow;
}

TEST(DebuggerStep, IsOneInstruction) {
    TestMachine m;
    m.enter_protected();
    m.code({kIncEbx, kIncEbx, kHlt});
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kCode + 1);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 1U);
    m.cpu().set_debug({});
    m.run();
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 2U);
}

TEST(DebuggerStep, LeavesTheGuestsFlagsAlone) {
    TestMachine m;
    m.enter_protected();
    m.code({0x9C, 0x58, kHlt});  // pushfd; pop eax
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().gpr[x86::kRax] & x86::kTf, 0U);
    EXPECT_EQ(m.cpu().dr6, 0xFFFF0FF0U);
}

TEST(DebuggerStep, HoldsInterruptsBack) {
    TestMachine m;
    m.enter_protected();
    allow_interrupts(m);
    m.code({kIncEbx, kHlt});
    m.interrupts.request(kInterrupt);
    m.cpu().post(kEventNmi);
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kCode + 1);
    m.cpu().set_debug({});
    m.run();
    EXPECT_EQ(m.handler(), 2U) << "the NMI comes first, and both come";
}

TEST(DebuggerStep, OverHltAndThenToItsInterrupt) {
    TestMachine m;
    m.enter_protected();
    allow_interrupts(m);
    m.code({kHlt, kIncEbx});
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kCode + 1);
    EXPECT_EQ(m.run_until_exit(), ExitReason::halted);
    m.interrupts.request(kInterrupt);
    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kHandlers + kInterrupt * 16);
}

TEST(DebuggerStep, IntoTheHandlerOfAFault) {
    TestMachine m;
    m.enter_protected();
    m.code({0x0F, 0x0B});  // ud2
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kHandlers + kUd * 16);
}

TEST(DebuggerStep, OverAPageFault) {
    TestMachine m;
    m.enter_long();
    m.cpu().gpr[x86::kRax] = 0x40000000;
    m.code({0x8B, 0x18});  // mov ebx, [rax]
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kHandlers + 14U * 16);
    EXPECT_EQ(m.cpu().cr2, 0x40000000U);
}

TEST(DebuggerStep, OverSyscall) {
    TestMachine m;
    m.enter_long(3);
    m.cpu().msr.star = uint64_t{M::kKernelCode} << 32;
    m.cpu().msr.lstar = M::kHandlers;
    m.code({0x0F, 0x05});
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kHandlers);
    EXPECT_EQ(m.cpu().cpl, 0);
}

TEST(DebuggerStep, KeepsTheShadowOfSti) {
    TestMachine m;
    m.enter_protected();
    m.code({0xFB, kIncEbx, kHlt});
    m.interrupts.request(kInterrupt);
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_TRUE(in_shadow(m));
    m.cpu().set_debug({});
    m.run();
    EXPECT_EQ(m.handler(), kInterrupt);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 1U);
}

TEST(DebuggerStep, IsOneIterationOfAString) {
    TestMachine m;
    m.enter_protected();
    m.cpu().gpr[x86::kRcx] = 3;
    m.cpu().gpr[x86::kRdi] = M::kData;
    m.code({0xF3, 0xAA, kHlt});  // rep stosb
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kCode);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 2U);
}

TEST(DebuggerStep, BesideTheGuestsOwn) {
    TestMachine m;
    m.enter_protected();
    m.cpu().system_flags |= x86::kTf;
    m.cpu().mode_changed();
    m.code({kIncEbx, kIncEbx});
    step_each(m);

    EXPECT_TRUE(stops_after_step(m));
    EXPECT_EQ(m.cpu().rip, M::kHandlers + kDb * 16) << "its handler was entered";
    EXPECT_EQ(m.cpu().dr6 & kDr6Bs, kDr6Bs);
}

TEST(DebuggerBreakpoint, StopsBeforeItsInt3) {
    TestMachine m;
    m.enter_protected();
    m.code({kIncEbx, kInt3, kHlt});
    break_at(m, M::kCode + 1);

    const auto stop = next_stop(m);

    ASSERT_TRUE(stop);
    EXPECT_EQ(stop->event, DebugEvent::breakpoint);
    EXPECT_EQ(m.cpu().rip, M::kCode + 1);
    EXPECT_EQ(m.cpu().retired, 1U);
    m.put<uint8_t>(M::kCode + 1, kIncEbx);
    m.run();
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 2U);
}

TEST(DebuggerBreakpoint, TheGuestsInt3IsTheGuests) {
    TestMachine m;
    m.enter_protected();
    m.code({kInt3});
    break_at(m, M::kCode + 1);

    EXPECT_FALSE(next_stop(m));
    EXPECT_EQ(m.handler(), 3U);
}

TEST(DebuggerBreakpoint, CountsWithTheBaseOfTheCodeSegment) {
    TestMachine m;
    m.enter_real();
    m.code({kInt3});
    break_at(m, M::kCode);

    EXPECT_TRUE(next_stop(m));
    EXPECT_EQ(m.cpu().rip, 0U);
}

// A halt that an interrupt must not come before: STI; HLT.
TEST(DebuggerBreakpoint, KeepsTheShadowOfSti) {
    TestMachine m;
    m.enter_protected();
    m.code({0xFB, kInt3, kHlt});
    m.interrupts.request(kInterrupt);
    break_at(m, M::kCode + 1);

    EXPECT_TRUE(next_stop(m));
    EXPECT_TRUE(in_shadow(m));
    m.put<uint8_t>(M::kCode + 1, kIncEbx);
    m.cpu().set_debug({});
    m.run();
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 1U);
}

TEST(DebuggerPoint, StopsBeforeAnInstruction) {
    TestMachine m;
    m.enter_protected();
    m.code({kIncEbx, kIncEbx, kHlt});
    watch(m, {DebugAccess::execute, M::kCode + 1, 1});

    const auto stop = next_stop(m);

    ASSERT_TRUE(stop);
    EXPECT_EQ(stop->point, (DebugPoint{DebugAccess::execute, M::kCode + 1, 1}));
    EXPECT_EQ(m.cpu().rip, M::kCode + 1);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 1U);
}

TEST(DebuggerPoint, InTheShadowOfSti) {
    TestMachine m;
    m.enter_protected();
    m.code({0xFB, kIncEbx, kHlt});
    m.interrupts.request(kInterrupt);
    watch(m, {DebugAccess::execute, M::kCode + 1, 1});

    EXPECT_TRUE(next_stop(m));
    EXPECT_EQ(m.cpu().rip, M::kCode + 1);
    EXPECT_TRUE(in_shadow(m));
}

// mov [kData], eax; mov edx, [kData]; then a store beside it.
void code_for_watching(TestMachine& m) {
    m.enter_protected();
    m.code({0xA3, 0, 0, 2, 0, 0x8B, 0x15, 0, 0, 2, 0, 0xA3, 4, 0, 2, 0, kHlt});
}

TEST(DebuggerPoint, StopsBehindAWrite) {
    TestMachine m;
    code_for_watching(m);
    watch(m, {DebugAccess::write, M::kData, 4});

    const auto stop = next_stop(m);

    ASSERT_TRUE(stop);
    EXPECT_EQ(stop->point.kind, DebugAccess::write);
    EXPECT_EQ(m.cpu().rip, M::kCode + 5);
    EXPECT_FALSE(next_stop(m)) << "neither reads nor neighbours count";
    EXPECT_EQ(m.cpu().rip, M::kCode + 17);
}

TEST(DebuggerPoint, StopsBehindAnAccess) {
    TestMachine m;
    code_for_watching(m);
    watch(m, {DebugAccess::access, M::kData + 3, 1});

    EXPECT_TRUE(next_stop(m));
    EXPECT_EQ(m.cpu().rip, M::kCode + 5);
    EXPECT_TRUE(next_stop(m));
    EXPECT_EQ(m.cpu().rip, M::kCode + 11);
    EXPECT_FALSE(next_stop(m));
}

TEST(DebuggerPoint, IsSeenThoughThePageWasUsedBefore) {
    TestMachine m;
    code_for_watching(m);
    m.run();
    m.cpu().rip = M::kCode;
    m.cpu().activity = x86::Activity::running;
    watch(m, {DebugAccess::write, M::kData, 4});

    EXPECT_TRUE(next_stop(m));
    m.cpu().set_debug({});
    m.run();
}

TEST(DebuggerPoint, LeavesTheGuestsDebugRegistersAlone) {
    TestMachine m;
    code_for_watching(m);
    m.cpu().dr[0] = M::kData + 4;
    m.cpu().dr7 = 0x000D0402;  // writes of four bytes
    m.cpu().flush_tlb();
    m.cpu().mode_changed();
    watch(m, {DebugAccess::write, M::kData, 4});

    EXPECT_TRUE(next_stop(m));
    EXPECT_EQ(m.cpu().dr6 & kDr6Hits, 0U);
    EXPECT_EQ(m.cpu().dr7, 0x000D0402U);
    EXPECT_FALSE(next_stop(m));
    EXPECT_EQ(m.handler(), kDb) << "the guest's own has come";
    EXPECT_EQ(m.cpu().dr6 & kDr6Hits, 1U);
}

TEST(DebuggerPoint, OnTheLastPageOfAll) {
    Debugger debugger;
    const uint64_t last = ~uint64_t{7};
    debugger.set({.points = {{DebugAccess::write, last, 8}}});

    EXPECT_TRUE(debugger.watches(last & ~uint64_t{0xFFF}, 4096));
    EXPECT_FALSE(debugger.watches(0, 4096));
}

TEST(DebuggerTranslation, WalksWithoutATrace) {
    TestMachine m;
    m.enter_long();
    const auto entry = m.get<uint64_t>(M::kPageTables + 0x2000);
    m.put<uint64_t>(M::kPageTables + 0x2000, entry & ~uint64_t{0x60});
    m.cpu().flush_tlb();
    uint64_t gpa = 0;

    EXPECT_TRUE(m.cpu().translate_for_debug(M::kData + 5, gpa));
    EXPECT_EQ(gpa, M::kData + 5);
    EXPECT_EQ(m.get<uint64_t>(M::kPageTables + 0x2000), entry & ~uint64_t{0x60});
    EXPECT_FALSE(m.cpu().translate_for_debug(0x40000000, gpa));
    EXPECT_FALSE(m.cpu().translate_for_debug(uint64_t{1} << 52, gpa)) << "not canonical";
}

}  // namespace
}  // namespace banyan::interp
