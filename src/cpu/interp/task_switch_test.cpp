#include "cpu/interp/task_switch.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/debug.hpp"
#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

constexpr uint64_t kNewTss = 0x6000;
constexpr uint16_t kNewSelector = M::kFree;
constexpr uint32_t kNewCode = M::kCode + 0x100;
constexpr uint32_t kNewStack = 0x50000;

// Fields of the 32-bit TSS.
enum Tss : uint64_t {
    kLink = 0,
    kEip = 32,
    kEflags = 36,
    kEax = 40,
    kEsp = 56,
    kEs = 72,
    kLdt = 96,
    kTrap = 100
};

uint8_t type_of(TestMachine& m, uint16_t selector) {
    return m.get<uint8_t>(M::kGdt + selector + 5) & 0xF;
}

void put_new_task(TestMachine& m, uint8_t access = 0x89) {
    m.put<uint64_t>(M::kGdt + kNewSelector, 0x67 | kNewTss << 16 | uint64_t{access} << 40);
    m.put<uint32_t>(kNewTss + kEip, kNewCode);
    m.put<uint32_t>(kNewTss + kEflags, 2);
    m.put<uint32_t>(kNewTss + kEax, 0x1234);
    m.put<uint32_t>(kNewTss + kEsp, kNewStack);
    const uint32_t data = M::kKernelData;
    const uint32_t segments[] = {data, M::kKernelCode, data, data, 0, 0};
    for (uint32_t i = 0; i < 6; ++i)
        m.put<uint32_t>(kNewTss + kEs + i * 4, segments[i]);
}

TEST(TaskSwitch, JumpSavesOldTaskAndMovesBusyBit) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m);
    m.code({0xB8, 0x77, 0, 0, 0,                  // mov eax, 0x77
            0xEA, 0, 0, 0, 0, kNewSelector, 0});  // jmp kNewSelector
    m.code({0xF4}, kNewCode);

    m.run();

    EXPECT_EQ(m.cpu().rip, kNewCode + 1);
    EXPECT_EQ(m.cpu().gpr[x86::kRax], 0x1234U);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], kNewStack);
    EXPECT_EQ(m.cpu().tr.selector, kNewSelector);
    EXPECT_NE(m.cpu().cr0 & x86::kCr0Ts, 0U);
    EXPECT_EQ(m.get<uint32_t>(M::kTss + kEax), 0x77U);
    EXPECT_EQ(m.get<uint32_t>(M::kTss + kEip), M::kCode + 12);
    EXPECT_EQ(type_of(m, M::kTssSelector), 9);
    EXPECT_EQ(type_of(m, kNewSelector), 11);
    EXPECT_FALSE(m.cpu().flag(x86::kNt));
}

TEST(TaskSwitch, CallNestsAndIretReturns) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m);
    m.code({0x9A, 0, 0, 0, 0, kNewSelector, 0, 0xF4});
    m.code({0xCF}, kNewCode);  // iret

    m.run();

    EXPECT_EQ(m.cpu().rip, M::kCode + 8);
    EXPECT_EQ(m.get<uint16_t>(kNewTss + kLink), M::kTssSelector);
    EXPECT_EQ(m.cpu().tr.selector, M::kTssSelector);
    EXPECT_EQ(type_of(m, M::kTssSelector), 11);
    EXPECT_EQ(type_of(m, kNewSelector), 9);
    EXPECT_FALSE(m.cpu().flag(x86::kNt));
    EXPECT_EQ(m.get<uint32_t>(kNewTss + kEflags) & x86::kNt, 0U);
}

TEST(TaskSwitch, BusyTaskIsRefused) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m, 0x8B);
    m.code({0xEA, 0, 0, 0, 0, kNewSelector, 0});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), kNewSelector);
    EXPECT_EQ(m.cpu().tr.selector, M::kTssSelector);
}

TEST(TaskSwitch, AbsentTaskRaisesNp) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m, 0x09);
    m.code({0xEA, 0, 0, 0, 0, kNewSelector, 0});

    m.run();

    EXPECT_EQ(m.handler(), kNp);
}

TEST(TaskSwitch, ShortTssRaisesTs) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m);
    m.put<uint16_t>(M::kGdt + kNewSelector, 0x66);
    m.code({0xEA, 0, 0, 0, 0, kNewSelector, 0});

    m.run();

    EXPECT_EQ(m.handler(), kTs);
    EXPECT_EQ(m.stack<uint32_t>(0), kNewSelector);
}

TEST(TaskSwitch, BadSegmentFaultsInNewTask) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m);
    m.put<uint32_t>(kNewTss + kEs + 12, 0x1000);  // DS, beyond the table
    m.code({0xEA, 0, 0, 0, 0, kNewSelector, 0});

    m.run();

    EXPECT_EQ(m.handler(), kTs);
    EXPECT_EQ(m.stack<uint32_t>(0), 0x1000U);
    EXPECT_EQ(m.stack<uint32_t>(1), kNewCode);
    EXPECT_EQ(m.cpu().tr.selector, kNewSelector);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], kNewStack - 16);
}

TEST(TaskSwitch, TaskGateReceivesErrorCode) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m);
    m.put_gate(kGp, 0x8500, kNewSelector, 0);
    m.code({0x66, 0xB8, 0, 0x10, 0x8E, 0xD8});  // mov ax, 0x1000; mov ds, ax
    m.code({0xF4}, kNewCode);

    m.run();

    EXPECT_EQ(m.cpu().rip, kNewCode + 1);
    EXPECT_EQ(m.stack<uint32_t>(0), 0x1000U);
    EXPECT_TRUE(m.cpu().flag(x86::kNt));
    EXPECT_EQ(m.get<uint32_t>(M::kTss + kEip), M::kCode + 4);
    EXPECT_EQ(m.get<uint16_t>(kNewTss + kLink), M::kTssSelector);
}

TEST(TaskSwitch, SixteenBitTask) {
    TestMachine m;
    m.enter_protected();
    m.put<uint64_t>(M::kGdt + kNewSelector, 0x2B | kNewTss << 16 | uint64_t{0x81} << 40);
    m.put<uint64_t>(M::kGdt + kNewSelector + 8, 0x00009B010000FFFF);  // 16-bit code at kCode
    m.put<uint16_t>(kNewTss + 14, 0x100);
    m.put<uint16_t>(kNewTss + 16, 2);
    m.put<uint16_t>(kNewTss + 18, 0x4321);  // AX
    m.put<uint16_t>(kNewTss + 36, kNewSelector + 8);
    m.put<uint16_t>(kNewTss + 38, M::kKernelData);
    m.code({0xEA, 0, 0, 0, 0, kNewSelector, 0});
    m.code({0xF4}, kNewCode);

    m.run();

    EXPECT_EQ(m.cpu().rip, 0x101U);
    EXPECT_EQ(m.cpu().gpr[x86::kRax] & 0xFFFF, 0x4321U);
    EXPECT_EQ(type_of(m, kNewSelector), 3);
}

TEST(TaskSwitch, TrapBitRaisesDebugTrapBeforeFirstInstruction) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m);
    m.put<uint16_t>(kNewTss + kTrap, 1);
    m.code({0xEA, 0, 0, 0, 0, kNewSelector, 0});
    m.code({0x43, 0xF4}, kNewCode);

    m.run();

    EXPECT_EQ(m.handler(), kDb);
    EXPECT_EQ(m.stack<uint32_t>(0), kNewCode);
    EXPECT_NE(m.cpu().dr6 & kDr6Bt, 0U);
}

TEST(TaskSwitch, LongModeHasNone) {
    TestMachine m;
    m.enter_long();
    put_new_task(m);
    m.put<uint32_t>(M::kData, 0);
    m.put<uint16_t>(M::kData + 4, kNewSelector);
    m.code({0xFF, 0x2C, 0x25, 0, 0, 2, 0});  // jmp far [kData]

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint64_t>(0), kNewSelector);
}

TEST(TaskSwitch, LocalBreakpointsAreTurnedOff) {
    TestMachine m;
    m.enter_protected();
    put_new_task(m);
    m.cpu().dr7 = 0x400 | 0x3;  // L0, G0
    m.cpu().dr[0] = 0x77777;
    m.cpu().mode_changed();
    m.code({0xEA, 0, 0, 0, 0, kNewSelector, 0});
    m.code({0xF4}, kNewCode);

    m.run();

    EXPECT_EQ(m.cpu().dr7, 0x402U);
}

}  // namespace
}  // namespace banyan::interp
