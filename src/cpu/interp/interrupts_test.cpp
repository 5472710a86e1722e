#include "cpu/interp/interrupts.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

TEST(Classify, DoubleFaultTable) {
    constexpr uint8_t kBenign = 6;
    constexpr uint8_t kContributory = 13;
    constexpr uint8_t kPageFault = 14;

    EXPECT_FALSE(is_double_fault(kBenign, kContributory));
    EXPECT_TRUE(is_double_fault(kContributory, kContributory));
    EXPECT_FALSE(is_double_fault(kContributory, kPageFault));
    EXPECT_TRUE(is_double_fault(kPageFault, kContributory));
    EXPECT_TRUE(is_double_fault(kPageFault, kPageFault));
    EXPECT_FALSE(is_double_fault(kPageFault, kBenign));
}

TEST(Deliver, RealModePushesFlagsAndReturnAddress) {
    TestMachine m;
    m.enter_real();
    m.cpu().system_flags |= x86::kIf | x86::kTf;
    m.cpu().system_flags &= ~uint32_t{x86::kTf};
    m.code({0xCD, 0x21, 0xF4});  // int 0x21

    m.run();

    EXPECT_EQ(m.handler(), 0x21U);
    EXPECT_EQ(m.stack<uint16_t>(0), 2);
    EXPECT_EQ(m.stack<uint16_t>(1), 0x1000);
    EXPECT_EQ(m.stack<uint16_t>(2), 0x202);
    EXPECT_FALSE(m.cpu().flag(x86::kIf));
}

TEST(Deliver, RealModeVectorOutsideTableRaisesGp) {
    TestMachine m;
    m.enter_real();
    m.cpu().idtr.limit = 0x50 * 4 - 1;
    m.code({0xCD, 0x50, 0xF4});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint16_t>(0), 0);  // of the INT instruction
}

TEST(Deliver, FaultPushesErrorCodeAndRf) {
    TestMachine m;
    m.enter_protected();
    m.code({0x66, 0xB8, 0, 0x10, 0x8E, 0xD8});  // mov ax, 0x1000; mov ds, ax

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), 0x1000U);
    EXPECT_EQ(m.stack<uint32_t>(1), M::kCode + 4);
    EXPECT_EQ(m.stack<uint32_t>(2), M::kKernelCode);
    EXPECT_EQ(m.stack<uint32_t>(3) & x86::kRf, uint32_t{x86::kRf});
}

TEST(Deliver, UserInterruptSwitchesStack) {
    TestMachine m;
    m.enter_protected(3);
    m.put_gate(0x80, 0xEF00, M::kKernelCode, M::kHandlers + 0x800);  // trap gate, DPL 3
    m.cpu().system_flags |= x86::kIf;
    m.cpu().mode_changed();
    m.code({0xCD, 0x80});

    m.run();

    EXPECT_EQ(m.handler(), 0x80U);
    EXPECT_EQ(m.cpu().cpl, 0);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], M::kInnerStack - 20);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 2);
    EXPECT_EQ(m.stack<uint32_t>(1), M::kUserCode);
    EXPECT_EQ(m.stack<uint32_t>(2), 0x202U);
    EXPECT_EQ(m.stack<uint32_t>(3), M::kStack);
    EXPECT_EQ(m.stack<uint32_t>(4), M::kUserData);
    EXPECT_TRUE(m.cpu().flag(x86::kIf));  // a trap gate
}

TEST(Deliver, SoftwareInterruptChecksGatePrivilege) {
    TestMachine m;
    m.enter_protected(3);
    m.code({0xCD, 0x80});  // gate with DPL 0

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), 0x80U * 8 + 2);
    EXPECT_EQ(m.stack<uint32_t>(1), M::kCode);
}

TEST(Deliver, ExternalEventThroughAbsentGateRaisesNpWithExt) {
    TestMachine m;
    m.enter_protected();
    m.put_gate(0x40, 0x0E00, M::kKernelCode, M::kHandlers);
    m.cpu().system_flags |= x86::kIf;
    m.cpu().mode_changed();
    m.interrupts.request(0x40);
    m.code({0x90, 0xEB, 0xFE});

    m.run();

    EXPECT_EQ(m.handler(), kNp);
    EXPECT_EQ(m.stack<uint32_t>(0), 0x40U * 8 + 2 + 1);
}

TEST(Deliver, GateToUserCodeFromKernelRaisesGp) {
    TestMachine m;
    m.enter_protected();
    m.put_gate(0x41, 0x8E00, M::kUserCode, M::kHandlers);
    m.code({0xCD, 0x41});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kUserCode & 0xFFF8U);
}

TEST(Deliver, SixteenBitGatePushesWords) {
    TestMachine m;
    m.enter_protected();
    m.put_gate(0x42, 0x8600, M::kKernelCode, M::kHandlers + 0x420);
    m.code({0xCD, 0x42});

    m.run();

    EXPECT_EQ(m.handler(), 0x42U);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], M::kStack - 6);
    EXPECT_EQ(m.stack<uint16_t>(0), 2);  // low word of the return address
    EXPECT_EQ(m.stack<uint16_t>(1), M::kKernelCode);
}

TEST(Deliver, BadInnerStackRaisesTs) {
    TestMachine m;
    m.enter_protected(3);
    m.put<uint16_t>(M::kTss + 8, M::kKernelCode);  // no data segment
    m.put_gate(0x80, 0xEE00, M::kKernelCode, M::kHandlers + 0x800);
    m.put_gate(kTs, 0x8E00, 0x90, M::kHandlers);  // leads nowhere either
    m.put_gate(kDf, 0x8500, M::kFree, 0);         // a task gate with its own stack
    m.put_gdt(M::kFree, 0x0000890000000067 | uint64_t{0x6000} << 16);
    m.put<uint32_t>(0x6000 + 0x20, static_cast<uint32_t>(M::kHandlers + kDf * 16));
    m.put<uint32_t>(0x6000 + 0x38, M::kInnerStack);
    m.put<uint32_t>(0x6000 + 0x4C, M::kKernelCode);
    m.put<uint32_t>(0x6000 + 0x50, M::kKernelData);
    m.code({0xCD, 0x80});

    m.run();

    EXPECT_EQ(m.handler(), kDf);
    EXPECT_EQ(m.stack<uint32_t>(0), 0U);
    EXPECT_EQ(m.get<uint32_t>(M::kTss + 0x20), M::kCode);  // saved by the task switch
}

TEST(Deliver, TripleFaultShutsDown) {
    TestMachine m;
    m.enter_protected();
    m.cpu().idtr.limit = 0;
    m.code({0x0F, 0x0B});

    EXPECT_EQ(m.run_until_exit(), ExitReason::shutdown);
}

TEST(Deliver, StackBeyondLimitRaisesSs) {
    TestMachine m;
    m.enter_protected();
    m.put_gdt(M::kFree, 0x004093000000FFFF | 0);  // 64 KiB, byte granular
    m.put_gate(kSsFault, 0x8500, M::kFree + 8, 0);
    m.put_gdt(M::kFree + 8, 0x0000890000000067 | uint64_t{0x6000} << 16);
    m.put<uint32_t>(0x6000 + 0x20, static_cast<uint32_t>(M::kHandlers + kSsFault * 16));
    m.put<uint32_t>(0x6000 + 0x38, M::kInnerStack);
    m.put<uint32_t>(0x6000 + 0x4C, M::kKernelCode);
    m.put<uint32_t>(0x6000 + 0x50, M::kKernelData);
    m.code({0x66, 0xB8, M::kFree, 0,  // mov ax, kFree
            0x8E, 0xD0,               // mov ss, ax
            0xBC, 4, 0, 1, 0,         // mov esp, 0x10004
            0xCD, 0x43});             // int 0x43

    m.run();

    EXPECT_EQ(m.handler(), kSsFault);
    EXPECT_EQ(m.stack<uint32_t>(0), 0U);
}

TEST(Deliver, LongModeAlignsStackAndPushesAll) {
    TestMachine m;
    m.enter_long();
    m.cpu().gpr[x86::kRsp] = M::kStack - 5;
    m.code({0xCD, 0x41});

    m.run();

    EXPECT_EQ(m.handler(), 0x41U);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], M::kStack - 16 - 40);
    EXPECT_EQ(m.stack<uint64_t>(0), M::kCode + 2);
    EXPECT_EQ(m.stack<uint64_t>(1), M::kKernelCode);
    EXPECT_EQ(m.stack<uint64_t>(3), M::kStack - 5);
    EXPECT_EQ(m.stack<uint64_t>(4), M::kKernelData);
}

TEST(Deliver, LongModeUserGetsNullStackSegmentOfCpl0) {
    TestMachine m;
    m.enter_long(3);
    m.code({0x0F, 0x0B});

    m.run();

    EXPECT_EQ(m.handler(), kUd);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], M::kInnerStack - 40);
    EXPECT_EQ(m.cpu().seg[x86::kSs].selector, 0);
    EXPECT_EQ(m.stack<uint64_t>(4), M::kUserData);
}

TEST(Deliver, LongModeUsesInterruptStackTable) {
    TestMachine m;
    m.enter_long();
    m.put<uint64_t>(M::kTss + 36 + 2 * 8, 0x50008);  // IST3
    m.put_long_gate(kUd, 0x8E00, 3);
    m.code({0x0F, 0x0B});

    m.run();

    EXPECT_EQ(m.handler(), kUd);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], 0x50000U - 40);
    EXPECT_EQ(m.cpu().seg[x86::kSs].selector, M::kKernelData);
}

TEST(Deliver, LongModeRefuses32BitHandler) {
    TestMachine m;
    m.enter_long();
    m.put_gdt(M::kFree, 0x00CF9B000000FFFF);
    m.put<uint64_t>(M::kIdt + 0x41 * 16, M::gate(0x8E00, M::kFree, M::kHandlers));
    m.code({0xCD, 0x41});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint64_t>(0), M::kFree);
}

TEST(Deliver, NonCanonicalInnerStackRaisesSs) {
    TestMachine m;
    m.enter_long(3);
    m.put<uint64_t>(M::kTss + 4, 0x0000900000000000);
    m.put<uint64_t>(M::kTss + 36, 0x50000);  // IST1, for the handlers
    m.put_long_gate(kSsFault, 0x8E00, 1);
    m.code({0x0F, 0x0B});

    m.run();

    EXPECT_EQ(m.handler(), kSsFault);
}

TEST(SoftwareInterrupts, IntoTrapsOnOverflowOnly) {
    TestMachine m;
    m.enter_protected();
    m.code({0xCE,                    // into
            0xB0, 0x7F, 0x04, 0x01,  // mov al, 0x7f; add al, 1
            0xCE});

    m.run();

    EXPECT_EQ(m.handler(), 4U);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 6);
}

TEST(SoftwareInterrupts, BoundComparesSigned) {
    TestMachine m;
    m.enter_protected();
    m.put<int32_t>(M::kData, -5);
    m.put<int32_t>(M::kData + 4, 5);
    m.code({0xB8, 0xFB, 0xFF, 0xFF, 0xFF,     // mov eax, -5
            0x62, 0x05, 0,    0,    2,    0,  // bound eax, [kData]
            0xB8, 6,    0,    0,    0,        // mov eax, 6
            0x62, 0x05, 0,    0,    2,    0});

    m.run();

    EXPECT_EQ(m.handler(), kBr);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kCode + 16);
}

// --- IRET
// -----------------------------------------------------------------------------------------

TEST(Iret, ReturnsToUserAndDropsKernelSegments) {
    TestMachine m;
    m.enter_protected();
    m.put_gate(0x80, 0xEE00, M::kKernelCode, M::kHandlers + 0x800);
    m.cpu().system_flags |= 3U << x86::kIoplShift;  // so that nothing depends on CLI here
    m.code({0x6A, M::kUserData,                     // push ss
            0x68, 0,
            0,    5,
            0,  // push esp
            0x68, 0x02,
            0x02, 0,
            0,                   // push flags: IF
            0x6A, M::kUserCode,  // push cs
            0x68, 0,
            1,    1,
            0,  // push kCode + 0x100
            0xCF});
    m.code({0x8C, 0xD9,   // mov ecx, ds
            0xCD, 0x80},  // int 0x80
           M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.handler(), 0x80U);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 0U);
    EXPECT_EQ(m.stack<uint32_t>(1), M::kUserCode);
    EXPECT_EQ(m.stack<uint32_t>(3), 0x50000U);
    EXPECT_EQ(m.stack<uint32_t>(2) & x86::kIf, uint32_t{x86::kIf});
}

TEST(Iret, InnerReturnIsRefused) {
    TestMachine m;
    m.enter_protected(3);
    m.code({0x6A, 2,               // push flags
            0x6A, M::kKernelCode,  // push cs
            0x6A, 0,               // push eip
            0xCF});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kKernelCode);
}

TEST(Iret, UserCannotRaiseIoplOrIf) {
    TestMachine m;
    m.enter_protected(3);
    m.put_gate(0x80, 0xEE00, M::kKernelCode, M::kHandlers + 0x800);
    m.code({0x68, 0x02, 0x32, 0, 0,  // push flags: IOPL 3, IF
            0x6A, M::kUserCode, 0x68, 0, 1, 1, 0, 0xCF});
    m.code({0xCD, 0x80}, M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.stack<uint32_t>(2), 2U);
}

TEST(Iret, UnblocksNmiEvenWhenItFaults) {
    TestMachine m;
    m.enter_protected();
    m.cpu().pending.nmi_blocked = true;
    m.code({0x6A, 2, 0x6A, 0, 0x6A, 0, 0xCF});  // to a null selector

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_FALSE(m.cpu().pending.nmi_blocked);
}

TEST(Iret, LongModeAlwaysPopsStack) {
    TestMachine m;
    m.enter_long();
    m.code({0x6A, M::kKernelData,  // push ss
            0x68, 0, 0, 5, 0,      // push rsp
            0x6A, 2,               // push flags
            0x6A, M::kKernelCode,  // push cs
            0x68, 0, 1, 1, 0,      // push kCode + 0x100
            0x48, 0xCF});
    m.code({0xF4}, M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.cpu().rip, M::kCode + 0x101);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], 0x50000U);
}

TEST(Iret, LongModeRefusesNestedTask) {
    TestMachine m;
    m.enter_long();
    m.cpu().system_flags |= x86::kNt;
    m.code({0x48, 0xCF});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(Iret, LongModeReturnsToCompatibilityMode) {
    TestMachine m;
    m.enter_long();
    m.put_gdt(M::kFree, 0x00CFFB000000FFFF);  // 32-bit user code
    m.put_long_gate(0x41, 0xEE00, 0);
    m.code({0x6A, M::kUserData, 0x68, 0, 0, 5, 0, 0x6A, 2, 0x6A, M::kFree | 3, 0x68, 0, 1, 1, 0,
            0x48, 0xCF});
    m.code({0x40,  // inc eax: a REX prefix in 64-bit mode
            0xCD, 0x41},
           M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.handler(), 0x41U);
    EXPECT_EQ(m.cpu().gpr[x86::kRax], 1U);
    EXPECT_EQ(m.stack<uint64_t>(1), M::kFree | 3U);
}

// --- virtual-8086 mode
// -----------------------------------------------------------------------------

// Enters virtual-8086 mode at 1000:0100 with the given flags, by IRET.
void enter_vm86(TestMachine& m, uint32_t flags) {
    m.enter_protected();
    const uint32_t frame[] = {0x100,  0x1000, flags | x86::kVm | 2, 0x8000, 0x3000, 0x2000, 0x2001,
                              0x2002, 0x2003};
    for (uint32_t i = 0; i < 9; ++i)
        m.put<uint32_t>(0x50000 + i * 4, frame[i]);
    m.cpu().gpr[x86::kRsp] = 0x50000;
    m.code({0xCF});
}

TEST(Vm86, EntersByIretAndLeavesByFault) {
    TestMachine m;
    enter_vm86(m, 0);
    m.code({0xFA}, M::kCode + 0x100);  // cli: IOPL is 0

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_FALSE(m.cpu().vm86());
    EXPECT_EQ(m.cpu().seg[x86::kDs].selector, 0);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], M::kInnerStack - 40);
    EXPECT_EQ(m.stack<uint32_t>(1), 0x100U);
    EXPECT_EQ(m.stack<uint32_t>(2), 0x1000U);
    EXPECT_EQ(m.stack<uint32_t>(3) & x86::kVm, uint32_t{x86::kVm});
    EXPECT_EQ(m.stack<uint32_t>(4), 0x8000U);
    EXPECT_EQ(m.stack<uint32_t>(5), 0x3000U);
    EXPECT_EQ(m.stack<uint32_t>(6), 0x2000U);
    EXPECT_EQ(m.stack<uint32_t>(9), 0x2003U);
}

TEST(Vm86, SegmentsAreRealModeSegments) {
    TestMachine m;
    enter_vm86(m, 0);
    m.put<uint16_t>(0x20010 + 4, 0xBEEF);  // DS is 2001
    m.code({0xA1, 4, 0,                    // mov ax, [4]
            0xF4},                         // privileged
           M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.cpu().gpr[x86::kRax] & 0xFFFF, 0xBEEFU);
}

TEST(Vm86, SoftwareInterruptNeedsIopl3) {
    TestMachine low;
    enter_vm86(low, 0);
    low.code({0xCD, 0x41}, M::kCode + 0x100);
    TestMachine high;
    enter_vm86(high, 3U << x86::kIoplShift);
    high.put_gate(0x41, 0xEE00, M::kKernelCode, M::kHandlers + 0x410);
    high.code({0xCD, 0x41}, M::kCode + 0x100);

    low.run();
    high.run();

    EXPECT_EQ(low.handler(), kGp);
    EXPECT_EQ(low.stack<uint32_t>(0), 0U);
    EXPECT_EQ(high.handler(), 0x41U);
    EXPECT_EQ(high.stack<uint32_t>(0), 0x102U);
}

TEST(Vm86, PopfLeavesIopl) {
    TestMachine m;
    enter_vm86(m, 3U << x86::kIoplShift);
    m.put_gate(0x41, 0xEE00, M::kKernelCode, M::kHandlers + 0x410);
    m.code({0x68, 0x00, 0x02,  // push 0x200
            0x9D,              // popf
            0xCD, 0x41},
           M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.stack<uint32_t>(2) & (x86::kIopl | x86::kIf), x86::kIopl | x86::kIf);
}

}  // namespace
}  // namespace banyan::interp
