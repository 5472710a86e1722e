#include "cpu/interp/far_transfer.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

TEST(FarTransfer, RealModeCallAndReturn) {
    TestMachine m;
    m.enter_real();
    m.code({0x9A, 0x10, 0, 0, 0x20,  // call 2000:0010
            0xF4});
    m.code({0x40, 0xCB}, 0x20010);  // inc ax; retf

    m.run();

    EXPECT_EQ(m.cpu().rip, 6U);
    EXPECT_EQ(m.cpu().seg[x86::kCs].selector, 0x1000);
    EXPECT_EQ(m.cpu().gpr[x86::kRax] & 0xFFFF, 1U);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], 0xFFF0U);
}

TEST(FarTransfer, RealModeCallToOtherSegmentRunsItsCode) {
    TestMachine m;
    m.enter_real();
    m.code({0x9A, 0, 0, 0, 0x20,     // call 2000:0000
            0x9A, 0, 0, 0, 0x28,     // call 2800:0000
            0x9A, 0x10, 0, 0, 0x10,  // call 1000:0010
            0xF4});
    m.code({0xCB}, 0x20000);
    m.code({0x40, 0xCB}, 0x28000);        // inc ax; retf
    m.code({0x40, 0xCB}, M::kCode + 16);  // inc ax; retf

    m.run();

    EXPECT_EQ(m.cpu().rip, 16U);
    EXPECT_EQ(m.cpu().gpr[x86::kRax] & 0xFFFF, 2U);
    EXPECT_EQ(m.cpu().base[x86::kCs], M::kCode);
}

TEST(FarTransfer, RealModeStackWrapsBetweenElements) {
    TestMachine m;
    m.enter_real();
    m.cpu().gpr[x86::kRsp] = 2;
    m.code({0x9A, 0x10, 0, 0, 0x20});     // call 2000:0010
    m.code({0x89, 0xE3, 0xCB}, 0x20010);  // mov bx, sp; retf
    m.code({0xF4}, M::kCode + 5);

    m.run();

    EXPECT_EQ(m.cpu().rip, 6U);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 0xFFFEU);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], 2U);
    EXPECT_EQ(m.get<uint16_t>(0x30000), 0x1000);  // CS
    EXPECT_EQ(m.get<uint16_t>(0x3FFFE), 5);       // IP
}

TEST(FarTransfer, RealModeOffsetBeyondLimitRaisesGp) {
    TestMachine m;
    m.enter_real();
    m.code({0x66, 0xEA, 0, 0, 1, 0, 0, 0x20});  // jmp 2000:00010000

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(FarTransfer, ModeSwitchByFarJump) {
    TestMachine m;
    m.enter_real();
    const uint16_t limit = 0x1F;
    m.put<uint64_t>(0x2008, 0x00CF9B000000FFFF);
    m.put<uint16_t>(0x20000, limit);
    m.put<uint32_t>(0x20002, 0x2000);
    m.code({0xB8, 0,    0x20, 0x8E, 0xD8,                            // mov ax, 0x2000; mov ds, ax
            0x0F, 0x01, 0x16, 0,    0,                               // lgdt [0]
            0x0F, 0x20, 0xC0, 0x0C, 1,                               // mov eax, cr0; or al, 1
            0x0F, 0x22, 0xC0,                                        // mov cr0, eax
            0x66, 0xEA, 0,    1,    1,    0, 8, 0});                 // jmp 8:kCode + 0x100
    m.code({0xB9, 0x78, 0x56, 0x34, 0x12, 0xF4}, M::kCode + 0x100);  // mov ecx, 0x12345678

    m.run();

    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 0x12345678U);
    EXPECT_TRUE(m.cpu().mode.has(Mode::kCode32));
}

TEST(FarTransfer, JumpToOtherPrivilegeIsRefused) {
    TestMachine m;
    m.enter_protected();
    m.code({0xEA, 0, 0, 0, 0, M::kUserCode, 0});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kUserCode & 0xFFF8U);
}

TEST(FarTransfer, ConformingCodeKeepsPrivilege) {
    TestMachine m;
    m.enter_protected(3);
    m.put_gdt(M::kFree, 0x00CF9F000000FFFF);  // conforming, DPL 0
    m.code({0xEA, 0, 1, 1, 0, M::kFree, 0});
    m.code({0x8C, 0xC8, 0xF4}, M::kCode + 0x100);  // mov eax, cs; hlt

    m.run();

    EXPECT_EQ(m.handler(), kGp);  // HLT, at CPL 3 still
    EXPECT_EQ(m.cpu().gpr[x86::kRax], M::kFree | 3U);
}

TEST(FarTransfer, AbsentCodeRaisesNp) {
    TestMachine m;
    m.enter_protected();
    m.put_gdt(M::kFree, 0x00CF1B000000FFFF);
    m.code({0xEA, 0, 0, 0, 0, M::kFree, 0});

    m.run();

    EXPECT_EQ(m.handler(), kNp);
}

TEST(FarTransfer, OffsetBeyondLimitRaisesGpWithoutSelector) {
    TestMachine m;
    m.enter_protected();
    m.put_gdt(M::kFree, 0x00409B0000000FFF);  // 4 KiB
    m.code({0xEA, 0, 0x10, 0, 0, M::kFree, 0});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), 0U);
}

TEST(CallGate, CopiesParametersToInnerStackAndReturnsAcross) {
    TestMachine m;
    m.enter_protected(3);
    m.put_gdt(M::kFree, M::gate(0xEC02, M::kKernelCode, M::kCode + 0x100));
    m.put_gate(0x80, 0xEE00, M::kKernelCode, M::kHandlers + 0x800);
    m.code({0x6A, 0x11, 0x6A, 0x22,             // push 0x11; push 0x22
            0x9A, 0, 0, 0, 0, M::kFree | 3, 0,  // call gate
            0xCD, 0x80});
    m.code({0x8B, 0x5C, 0x24, 8,   // mov ebx, [esp + 8]
            0x8B, 0x4C, 0x24, 12,  // mov ecx, [esp + 12]
            0x8B, 0x54, 0x24, 16,  // mov edx, [esp + 16]
            0x8C, 0xC8,            // mov eax, cs
            0xCA, 8, 0},           // retf 8
           M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.handler(), 0x80U);
    EXPECT_EQ(m.cpu().gpr[x86::kRax], M::kKernelCode);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 0x22U);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 0x11U);
    EXPECT_EQ(m.cpu().gpr[x86::kRdx], M::kStack - 8);
    EXPECT_EQ(m.stack<uint32_t>(3), M::kStack);  // both stacks were released
}

TEST(CallGate, NeedsPrivilegeOfGate) {
    TestMachine m;
    m.enter_protected(3);
    m.put_gdt(M::kFree, M::gate(0x8C00, M::kKernelCode, M::kCode));
    m.code({0x9A, 0, 0, 0, 0, M::kFree | 3, 0});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kFree);
}

TEST(CallGate, SixteenBitGateOfSameLevelPushesWords) {
    TestMachine m;
    m.enter_protected();
    m.put_gdt(M::kFree + 8, 0x000F9B000000FFFF);  // 16-bit code from 0
    m.put_gdt(M::kFree, M::gate(0x8400, M::kFree + 8, M::kHandlers));
    m.code({0x9A, 0, 0, 0, 0, M::kFree, 0});

    m.run();

    EXPECT_EQ(m.cpu().rip, M::kHandlers + 1);
    EXPECT_EQ(m.stack<uint16_t>(0), 7);
    EXPECT_EQ(m.stack<uint16_t>(1), M::kKernelCode);
}

TEST(CallGate, LongModeSwitchesToStackOfTss) {
    TestMachine m;
    m.enter_long(3);
    m.put_gdt(M::kFree, M::gate(0xEC00, M::kKernelCode, M::kCode + 0x100));
    m.put_gdt(M::kFree + 8, 0);
    m.put<uint32_t>(M::kData, 0);
    m.put<uint16_t>(M::kData + 4, M::kFree | 3);
    m.code({0xFF, 0x1C, 0x25, 0, 0, 2, 0});  // call far [kData]
    m.code({0xF4}, M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.cpu().rip, M::kCode + 0x101);
    EXPECT_EQ(m.cpu().cpl, 0);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], M::kInnerStack - 32);
    EXPECT_EQ(m.stack<uint64_t>(0), M::kCode + 7);
    EXPECT_EQ(m.stack<uint64_t>(3), M::kUserData);
}

// A 64-bit gate of the same level, called by 32-bit code whose stack has a base.
TEST(CallGate, LongModePushesOnFlatStack) {
    constexpr uint16_t kCompat = M::kFree + 16;
    TestMachine m;
    m.enter_long();
    m.put_gdt(M::kFree, M::gate(0x8C00, M::kKernelCode, M::kCode + 0x100));
    m.put_gdt(M::kFree + 8, 0);
    m.code({0x9A, 0, 0, 0, 0, M::kFree, 0});  // call gate
    m.code({0xF4}, M::kCode + 0x100);
    set_segment(m.cpu(), x86::kCs, {kCompat, {0xC09B}, 0xFFFFFFFF, 0});
    set_segment(m.cpu(), x86::kSs, {M::kKernelData, {0xC093}, 0xFFFFFFFF, 0x1000});

    m.run();

    EXPECT_EQ(m.cpu().rip, M::kCode + 0x101);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], M::kStack - 16);
    EXPECT_EQ(m.get<uint64_t>(M::kStack - 16), M::kCode + 7);
    EXPECT_EQ(m.get<uint64_t>(M::kStack - 8), kCompat);
}

TEST(CallGate, LongModeChecksTypeOfSecondHalf) {
    TestMachine m;
    m.enter_long();
    m.put_gdt(M::kFree, M::gate(0x8C00, M::kKernelCode, M::kCode + 0x100));
    m.put_gdt(M::kFree + 8, 0x0000010000000000);
    m.put<uint32_t>(M::kData, 0);
    m.put<uint16_t>(M::kData + 4, M::kFree);
    m.code({0xFF, 0x1C, 0x25, 0, 0, 2, 0});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint64_t>(0), M::kFree);
}

TEST(FarReturn, ToInnerLevelIsRefused) {
    TestMachine m;
    m.enter_protected(3);
    m.code({0x6A, M::kKernelCode, 0x6A, 0, 0xCB});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint32_t>(0), M::kKernelCode);
}

TEST(FarReturn, LongModeNonCanonicalTargetRaisesGp) {
    TestMachine m;
    m.enter_long();
    m.code({0x6A, M::kKernelCode,                   // push cs
            0x48, 0xB8, 0, 0, 0, 0, 0, 0x80, 0, 0,  // mov rax, 0x800000000000
            0x50, 0x48, 0xCB});                     // push rax; retfq

    m.run();

    EXPECT_EQ(m.handler(), kGp);
    EXPECT_EQ(m.stack<uint64_t>(1), M::kCode + 13);
}

// --- SYSCALL and SYSRET
// -----------------------------------------------------------------------------

void set_syscall_msrs(TestMachine& m) {
    x86::MsrState& msr = m.cpu().msr;
    msr.star = uint64_t{M::kKernelCode} << 32 | uint64_t{M::kUserCode - 16 + 0U} << 48;
    msr.lstar = M::kCode + 0x100;
    msr.sfmask = x86::kIf | x86::kDf;
}

TEST(FastCalls, SyscallEntersKernelAndSysretReturns) {
    TestMachine m;
    m.enter_long(3);
    set_syscall_msrs(m);
    m.put_long_gate(0x41, 0xEE00, 0);
    m.cpu().system_flags |= x86::kIf;
    m.cpu().mode_changed();
    m.code({0x0F, 0x05,  // syscall
            0xCD, 0x41});
    m.code({0x9C, 0x5B,         // pushfq; pop rbx
            0x8C, 0xCE,         // mov esi, cs
            0x8C, 0xD7,         // mov edi, ss
            0x48, 0x0F, 0x07},  // sysretq
           M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.handler(), 0x41U);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], M::kCode + 2);
    EXPECT_EQ(m.cpu().gpr[x86::kR11], 0x202U);
    EXPECT_EQ(m.cpu().gpr[x86::kRbx], 2U);
    EXPECT_EQ(m.cpu().gpr[x86::kRsi], M::kKernelCode);
    EXPECT_EQ(m.cpu().gpr[x86::kRdi], M::kKernelData);
    EXPECT_EQ(m.stack<uint64_t>(1), M::kUserCode);
    EXPECT_EQ(m.stack<uint64_t>(2) & x86::kIf, uint64_t{x86::kIf});
}

TEST(FastCalls, SyscallNeedsSce) {
    TestMachine m;
    m.enter_long(3);
    m.cpu().msr.efer &= ~uint64_t{x86::kEferSce};
    m.code({0x0F, 0x05});

    m.run();

    EXPECT_EQ(m.handler(), kUd);
}

TEST(FastCalls, SysretIsPrivileged) {
    TestMachine m;
    m.enter_long(3);
    m.code({0x48, 0x0F, 0x07});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST(FastCalls, StateAfterSysretSurvivesSaving) {
    TestMachine m;
    m.enter_long();
    set_syscall_msrs(m);
    m.cpu().gpr[x86::kRcx] = M::kCode + 0x80;
    m.cpu().idtr.limit = 0;  // so that the next fault stops the machine at CPL 3
    m.code({0x48, 0x0F, 0x07});
    m.code({0xF4}, M::kCode + 0x80);
    EXPECT_EQ(m.run_until_exit(), ExitReason::shutdown);
    x86::RegisterState state;

    m.cpu().get_state(state);
    m.cpu().set_state(state);

    EXPECT_EQ(m.cpu().cpl, 3);
}

TEST(FastCalls, SysenterWorksInLegacyMode) {
    TestMachine m;
    m.enter_protected(3);
    m.cpu().msr.sysenter_cs = M::kKernelCode;
    m.cpu().msr.sysenter_eip = M::kCode + 0x100;
    m.cpu().msr.sysenter_esp = M::kInnerStack;
    m.code({0x0F, 0x34});
    m.code({0xF4}, M::kCode + 0x100);

    m.run();

    EXPECT_EQ(m.cpu().rip, M::kCode + 0x101);
    EXPECT_EQ(m.cpu().cpl, 0);
    EXPECT_EQ(m.cpu().gpr[x86::kRsp], M::kInnerStack);
    EXPECT_EQ(m.cpu().seg[x86::kSs].selector, M::kKernelData);
}

TEST(FastCalls, SysenterWithoutSelectorRaisesGp) {
    TestMachine m;
    m.enter_protected(3);
    m.code({0x0F, 0x34});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

}  // namespace
}  // namespace banyan::interp
