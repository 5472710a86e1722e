#include "cpu/interp/debug.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

// DR7 for breakpoint 0: `kind` as in its R/W field, `length` as in LEN.
uint64_t breakpoint0(uint64_t kind, uint64_t length) {
    return 0x402 | kind << 16 | length << 18;
}
constexpr uint64_t kExecute = 0;
constexpr uint64_t kWrite = 1;
constexpr uint64_t kPort = 2;
constexpr uint64_t kAccess = 3;

void arm(TestMachine& m, uint64_t address, uint64_t dr7) {
    m.cpu().dr[0] = address;
    m.cpu().dr7 = dr7;
    m.cpu().flush_tlb();
    m.cpu().mode_changed();
}

TEST(SingleStep, TrapsBehindInstruction) {
    TestMachine m;
    m.enter_protected();
    m.cpu().system_flags |= x86::kTf;
    m.cpu().mode_changed();
    m.code({0x43, 0x43});

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 1);
    EXPECT_EQ(m.stack<uint32_t>(2) & x86::kTf, uint32_t{x86::kTf});
    EXPECT_FALSE(m.cpu().flag(x86::kTf));
    EXPECT_EQ(m.cpu().dr6 & (kDr6Bs | kDr6Hits), kDr6Bs);
}

TEST(SingleStep, PopfTakesEffectAfterNextInstruction) {
    TestMachine m;
    m.enter_protected();
    m.code({0x68, 0x02, 0x01, 0, 0, 0x9D, 0x43, 0x43});  // push TF; popfd; inc ebx

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 7);
}

TEST(SingleStep, SoftwareInterruptIsNotTrapped) {
    TestMachine m;
    m.enter_protected();
    m.cpu().system_flags |= x86::kTf;
    m.cpu().mode_changed();
    m.code({0xCD, 0x41});

    m.run();

    EXPECT_EQ(m.handler(), 0x41U);
}

TEST(SingleStep, MovSsIsSkipped) {
    TestMachine m;
    m.enter_protected();
    m.cpu().gpr[x86::kRax] = M::kKernelData;
    m.cpu().system_flags |= x86::kTf;
    m.cpu().mode_changed();
    m.code({0x8E, 0xD0, 0x43, 0x43});  // mov ss, eax; inc ebx

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 3);
}

TEST(SingleStep, StopsAfterEachIterationOfRep) {
    TestMachine m;
    m.enter_protected();
    m.cpu().gpr[x86::kRcx] = 3;
    m.cpu().gpr[x86::kRsi] = M::kData;
    m.cpu().gpr[x86::kRdx] = 0x80;
    m.cpu().system_flags |= x86::kTf;
    m.cpu().mode_changed();
    m.code({0xF3, 0x6E});  // rep outsb

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 2U);
    EXPECT_EQ(m.io.writes().size(), 1U);
}

TEST(SingleStep, SysretTrapsBeforeFirstUserInstruction) {
    TestMachine m;
    m.enter_long();
    m.cpu().msr.star = uint64_t{M::kUserCode - 16U} << 48;
    m.cpu().gpr[x86::kRcx] = M::kCode + 0x100;
    m.cpu().gpr[x86::kR11] = x86::kTf;
    m.code({0x48, 0x0F, 0x07});
    m.code({0x90, 0xF4}, M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint64_t>(0), M::kCode + 0x100);
}

TEST(Breakpoints, ExecutionFaultsBeforeInstruction) {
    TestMachine m;
    m.enter_protected();
    arm(m, M::kCode + 1, breakpoint0(kExecute, 0));
    m.code({0x43, 0x43, 0xF4});

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 1U);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 1);
    EXPECT_EQ(m.cpu().dr6 & (kDr6Bs | kDr6Hits), 1U);
}

TEST(Breakpoints, ResumeFlagPassesExecutionBreakpointOnce) {
    TestMachine m;
    m.enter_protected();
    arm(m, M::kCode + 0x100, breakpoint0(kExecute, 0));
    m.code({0x68, 0x02, 0, 1, 0,                   // push flags: RF
            0x6A, M::kKernelCode,                  // push cs
            0x68, 0, 1, 1, 0, 0xCF});              // push kCode + 0x100; iretd
    m.code({0x43, 0xEB, 0xFD}, M::kCode + 0x100);  // inc ebx; jmp back

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 1U);
}

TEST(Breakpoints, DataWriteTrapsBehindInstruction) {
    TestMachine m;
    m.enter_protected();
    arm(m, M::kData + 4, breakpoint0(kWrite, 3));  // four bytes
    m.code({0xA1, 4, 0, 2, 0,                      // mov eax, [kData + 4]: a read
            0xA3, 6, 0, 2, 0,                      // mov [kData + 6], eax
            0x43, 0xF4});

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 10);
    EXPECT_EQ(m.cpu().dr6 & kDr6Hits, 1U);
}

TEST(Breakpoints, DataReadIsSeenByAccessBreakpoint) {
    TestMachine m;
    m.enter_protected();
    arm(m, M::kData, breakpoint0(kAccess, 0));
    m.code({0xA0, 0, 0, 2, 0, 0x43, 0xF4});  // mov al, [kData]

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 5);
}

TEST(Breakpoints, NeighbouringBytesDoNotHit) {
    TestMachine m;
    m.enter_protected();
    arm(m, M::kData + 4, breakpoint0(kAccess, 3));
    m.code({0xA1, 0, 0, 2, 0, 0xA0, 8, 0, 2, 0, 0xF4});  // mov eax, [kData]; mov al, [kData + 8]

    m.run();

    EXPECT_EQ(m.handler(), std::nullopt);
}

TEST(Breakpoints, PortAccessNeedsDe) {
    TestMachine off;
    off.enter_protected();
    arm(off, 0x80, breakpoint0(kPort, 0));
    off.code({0xE6, 0x80, 0x43, 0xF4});  // out 0x80, al
    TestMachine on;
    on.enter_protected();
    on.cpu().cr4 |= x86::kCr4De;
    arm(on, 0x80, breakpoint0(kPort, 0));
    on.code({0xE6, 0x80, 0x43, 0xF4});

    off.run();
    on.run();

    EXPECT_EQ(off.handler(), std::nullopt);
    EXPECT_EQ(on.handler(), kDb);
    EXPECT_EQ(on.stack<uint32_t>(0), M::kCode + 2);
}

// CVE-2018-8897: what MOV SS hits is reported behind the next instruction.
TEST(Breakpoints, HitOfMovSsWaitsForNextInstruction) {
    TestMachine m;
    m.enter_protected();
    m.put<uint16_t>(M::kData, M::kKernelData);
    arm(m, M::kData, breakpoint0(kAccess, 1));
    m.code({0x8E, 0x15, 0, 0, 2, 0, 0x43, 0x43});  // mov ss, [kData]; inc ebx

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 7);
    EXPECT_EQ(m.cpu().dr6 & kDr6Hits, 1U);
}

TEST(Icebp, LeavesDr6AndIgnoresGatePrivilege) {
    TestMachine m;
    m.enter_protected(3);
    m.code({0xF1});

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 1);
    EXPECT_EQ(m.cpu().dr6, 0xFFFF0FF0U);
}

}  // namespace
}  // namespace banyan::interp
