// A debugger outside of the guest, while its code is translated.
#include <gtest/gtest.h>

#include "cpu/jit/jit_testing.hpp"

namespace banyan::jit {
namespace {

namespace a64 = asmjit::x86;

constexpr uint64_t kCounter = LongMachine::kData;
constexpr uint8_t kInt3 = 0xCC;
constexpr uint64_t kLoopTurns = 100;

// A loop that stores its counter, RBX, at kCounter; `store` says where that instruction is.
void write_loop(LongMachine& m, uint64_t& store) {
    m.code_at(kCode, [&](a64::Assembler& a) {
        const asmjit::Label again = a.newLabel();
        a.mov(a64::rcx, kLoopTurns);
        a.mov(a64::rdi, kCounter);
        a.xor_(a64::ebx, a64::ebx);
        a.bind(again);
        a.inc(a64::rbx);
        store = kCode + a.offset();
        a.mov(a64::qword_ptr(a64::rdi), a64::rbx);
        a.dec(a64::rcx);
        a.jnz(again);
        a.hlt();
    });
}

TEST(JitDebugger, ABreakpointInTranslatedCode) {
    JitMachine m;
    uint64_t store = 0;
    write_loop(m, store);
    m.run_from(kCode);
    const auto original = m.get<uint8_t>(store);

    m.put<uint8_t>(store, kInt3);
    m.cpu().set_debug({.breakpoints = {store}});
    m.cpu().activity = x86::Activity::running;
    m.cpu().rip = kCode;
    const Exit exit = m.cpu().run();

    EXPECT_EQ(exit.reason, ExitReason::debug);
    EXPECT_EQ(exit.debug.event, DebugEvent::breakpoint);
    EXPECT_EQ(m.cpu().rip, store);
    EXPECT_EQ(m.gpr(x86::kRbx), 1U);
    m.put<uint8_t>(store, original);
    m.cpu().set_debug({});
    m.run();
    EXPECT_EQ(m.gpr(x86::kRbx), kLoopTurns);
}

TEST(JitDebugger, WhereABreakpointIsElsewhereCodeIsTranslated) {
    JitMachine m;
    uint64_t store = 0;
    write_loop(m, store);
    m.cpu().set_debug({.breakpoints = {kCode + 0x800}});

    m.run_from(kCode);

    EXPECT_GT(m.statistics().entries, 0U);
    EXPECT_EQ(m.gpr(x86::kRbx), kLoopTurns);
}

// `at`: an instruction of the loop, which is translated before and after.
void check_execution_point(JitMachine& m, uint64_t at) {
    m.cpu().set_debug({.points = {{DebugAccess::execute, at, 1}}});
    m.cpu().activity = x86::Activity::running;
    m.cpu().rip = kCode;
    const uint64_t entries = m.statistics().entries;

    const Exit exit = m.cpu().run();

    EXPECT_EQ(exit.reason, ExitReason::debug);
    EXPECT_EQ(exit.debug.point.address, at);
    EXPECT_EQ(m.cpu().rip, at);
    EXPECT_EQ(m.gpr(x86::kRbx), 1U);
    EXPECT_GT(m.statistics().entries, entries);
    m.cpu().set_debug({});
    m.run();
    EXPECT_EQ(m.gpr(x86::kRbx), kLoopTurns);
}

TEST(JitDebugger, PointsOnExecutionInTranslatedCode) {
    JitMachine m;
    uint64_t store = 0;
    write_loop(m, store);
    m.run_from(kCode);

    check_execution_point(m, store);
    check_execution_point(m, store + 3);  // dec
    check_execution_point(m, store + 6);  // jnz
}

TEST(JitDebugger, AWatchpointOfAPageThatTranslatedCodeUses) {
    JitMachine m;
    uint64_t store = 0;
    write_loop(m, store);
    m.run_from(kCode);

    m.cpu().set_debug({.points = {{DebugAccess::write, kCounter, 8}}});
    m.cpu().activity = x86::Activity::running;
    m.cpu().rip = kCode;
    const Exit exit = m.cpu().run();

    EXPECT_EQ(exit.reason, ExitReason::debug);
    EXPECT_EQ(exit.debug.event, DebugEvent::point);
    EXPECT_EQ(m.cpu().rip, store + 3);
    EXPECT_EQ(m.get<uint64_t>(kCounter), 1U);
    m.cpu().set_debug({});
    m.run();
    EXPECT_EQ(m.get<uint64_t>(kCounter), kLoopTurns);
}

TEST(JitDebugger, AStepOutOfTranslatedCode) {
    JitMachine m;
    uint64_t store = 0;
    write_loop(m, store);
    m.run_from(kCode);

    m.cpu().set_debug({.single_step = true});
    m.cpu().activity = x86::Activity::running;
    m.cpu().rip = store;
    const Exit exit = m.cpu().run();

    EXPECT_EQ(exit.reason, ExitReason::debug);
    EXPECT_EQ(exit.debug.event, DebugEvent::step);
    EXPECT_EQ(m.cpu().rip, store + 3);
}

}  // namespace
}  // namespace banyan::jit
