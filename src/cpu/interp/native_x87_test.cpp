// x87 and MMX.
#include <cmath>
#include <gtest/gtest.h>

#include "cpu/interp/native_testing.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;
using x86::Vector;

class NativeX87 : public testing::Test {
protected:
    NativeX87() { m.enter_vectors(); }

    NativeMachine m;
};

// --- availability ------------------------------------------------------------------------------

TEST_F(NativeX87, IsUnavailableUnderEmulationAndAfterTaskSwitch) {
    m.set_cr0(x86::kCr0Em);
    EXPECT_EQ(m.run_code({0xD9, 0xE8}), raised(Vector::nm));
    m.enter_vectors();
    m.set_cr0(x86::kCr0Ts);
    EXPECT_EQ(m.run_code({0xDB, 0xE3}), raised(Vector::nm));  // fninit
}

TEST_F(NativeX87, MmxIsUndefinedUnderEmulation) {
    m.set_cr0(x86::kCr0Em);
    EXPECT_EQ(m.run_code({0x0F, 0xEF, 0xC0}), raised(Vector::ud));  // pxor mm0, mm0
    m.enter_vectors();
    m.set_cr0(x86::kCr0Ts);
    EXPECT_EQ(m.run_code({0x0F, 0xEF, 0xC0}), raised(Vector::nm));
}

TEST_F(NativeX87, WaitNeedsMonitoringToBeUnavailable) {
    m.set_cr0(x86::kCr0Ts);
    EXPECT_EQ(m.run_code({0x9B}), std::nullopt);
    m.enter_vectors();
    m.set_cr0(x86::kCr0Ts | x86::kCr0Mp);
    EXPECT_EQ(m.run_code({0x9B}), raised(Vector::nm));
}

// --- computing ---------------------------------------------------------------------------------

TEST_F(NativeX87, ChainKeepsStateAcrossInstructions) {
    m.put<double>(M::kData, 2.5);
    m.cpu().gpr[x86::kRax] = M::kData;

    // fld1; fadd qword [rax]; fmul st0, st0; fstp qword [rax+8]; nop; fldpi
    EXPECT_EQ(m.run_code({0xD9, 0xE8, 0xDC, 0x00, 0xDC, 0xC8, 0xDD, 0x58, 0x08, 0x90, 0xD9, 0xEB}),
              std::nullopt);

    EXPECT_EQ(m.get<double>(M::kData + 8), 12.25);
    EXPECT_EQ(m.x87().top(), 7U);
    EXPECT_EQ(m.x87().tags(), 0x80);
    EXPECT_NEAR(static_cast<double>(m.st(0)), M_PI, 1e-15);
}

TEST_F(NativeX87, HostStateIsClean) {
    m.run_code({0xD9, 0xE8, 0xD9, 0xEB});
    uint16_t control = 0;
    uint32_t mxcsr = 0;
    __asm__ volatile("fnstcw %0\n\tstmxcsr %1" : "=m"(control), "=m"(mxcsr));

    EXPECT_EQ(control, 0x37F);
    EXPECT_EQ(mxcsr & 0xFFC0U, 0x1F80U);
    volatile long double one = 1;
    EXPECT_EQ(std::sqrt(one + 3), 2);  // the stack is empty
}

TEST_F(NativeX87, PageFaultInAChainKeepsWhatIsDone) {
    m.use_small_pages();
    m.unmap(NativeMachine::kMissing);
    m.cpu().gpr[x86::kRax] = NativeMachine::kMissing - 4;

    EXPECT_EQ(m.run_code({0xD9, 0xE8, 0xD9, 0xEE, 0xDD, 0x18}),
              raised(Vector::pf));  // fld1; fldz; fstp qword [rax]

    EXPECT_EQ(m.x87().top(), 6U);
    EXPECT_EQ(m.st(1), 1);
    EXPECT_EQ(m.cpu().cr2, NativeMachine::kMissing);
    m.map(NativeMachine::kMissing);
    EXPECT_EQ(m.run_code({0xDD, 0x18, 0xDD, 0x18}), std::nullopt);
    EXPECT_EQ(m.get<double>(NativeMachine::kMissing - 4), 1.0);
}

TEST_F(NativeX87, LoadAcrossPages) {
    m.use_small_pages();
    m.put<double>(NativeMachine::kMissing - 4, 42.5);
    m.cpu().gpr[x86::kRax] = NativeMachine::kMissing - 4;

    EXPECT_EQ(m.run_code({0xD9, 0xE8, 0xDD, 0x00}), std::nullopt);

    EXPECT_EQ(m.st(0), 42.5);
    EXPECT_EQ(m.st(1), 1);
}

TEST_F(NativeX87, CompareWritesEflagsAndMoveReadsThem) {
    // fldz; fld1; fcomi st0, st1; fcmovnbe st0, st1
    EXPECT_EQ(m.run_code({0xD9, 0xEE, 0xD9, 0xE8, 0xDB, 0xF1, 0xDB, 0xD1}), std::nullopt);

    EXPECT_EQ(to_eflags(m.cpu().arith), 0U);
    EXPECT_EQ(m.st(0), 0);
}

TEST_F(NativeX87, PrecisionControlOfTheGuestApplies) {
    m.x87().set_control_and_status(0x7F, 0);  // 24 bits

    m.run_code({0xD9, 0xEB, 0xDC, 0xC8});  // fldpi; fmul st0, st0

    EXPECT_EQ(static_cast<long double>(static_cast<float>(m.st(0))), m.st(0));
}

// --- exceptions --------------------------------------------------------------------------------

constexpr uint16_t kZeroDivideUnmasked = 0x37B;

TEST_F(NativeX87, UnmaskedExceptionWaitsForTheNextWaitingInstruction) {
    m.x87().set_control_and_status(kZeroDivideUnmasked, 0);

    // fldz; fld1; fdiv st0, st1; fnstsw ax; fnstcw [rsp-8]
    EXPECT_EQ(m.run_code({0xD9, 0xEE, 0xD9, 0xE8, 0xD8, 0xF1, 0xDF, 0xE0, 0xD9, 0x7C, 0x24, 0xF8}),
              std::nullopt);
    EXPECT_EQ(m.cpu().gpr[x86::kRax] & 0x80FF, 0x8084U);
    EXPECT_EQ(m.st(0), 1);  // the operand stays

    EXPECT_EQ(m.run_code({0x9B}), raised(Vector::mf));
}

TEST_F(NativeX87, PendingErrorComesBeforeThePageFault) {
    m.x87().set_control_and_status(kZeroDivideUnmasked, 4);
    m.use_small_pages();
    m.unmap(NativeMachine::kMissing);
    m.cpu().gpr[x86::kRax] = NativeMachine::kMissing;

    EXPECT_EQ(m.run_code({0xDD, 0x00}), raised(Vector::mf));  // fld qword [rax]
    m.cpu().rip = M::kCode;
    EXPECT_EQ(m.run_code({0x0F, 0x6F, 0x00}), raised(Vector::mf));  // movq mm0, [rax]
}

TEST_F(NativeX87, PendingErrorKeepsItsPointers) {
    m.x87().set_control_and_status(kZeroDivideUnmasked, 0);
    m.cpu().gpr[x86::kRax] = M::kData;
    m.put<float>(M::kData, 0);

    // fld1; fdiv dword [rax]; then a load, which reports the error
    EXPECT_EQ(m.run_code({0xD9, 0xE8, 0xD8, 0x30, 0xD9, 0x40, 0x04}), raised(Vector::mf));

    EXPECT_EQ(m.x87().instruction_pointer(), M::kCode + 2);
    EXPECT_EQ(m.x87().data_pointer(), M::kData);
    EXPECT_EQ(m.x87().opcode(), 0x030);
}

TEST_F(NativeX87, ClearingExceptionsEndsTheWait) {
    m.x87().set_control_and_status(kZeroDivideUnmasked, 4);

    EXPECT_EQ(m.run_code({0xDB, 0xE2, 0xD9, 0xE8}), std::nullopt);  // fnclex; fld1

    EXPECT_FALSE(m.x87().error_pending());
}

TEST_F(NativeX87, UnmaskingAFlagMakesItPending) {
    m.x87().set_control_and_status(0x37F, 4);
    m.cpu().gpr[x86::kRax] = M::kData;
    m.put<uint16_t>(M::kData, 0x33B);

    EXPECT_EQ(m.run_code({0xD9, 0x28, 0xD9, 0xE8}), raised(Vector::mf));  // fldcw [rax]; fld1
}

TEST_F(NativeX87, UnmaskedInvalidStoreWritesNothingEvenThroughACopy) {
    m.use_small_pages();
    m.x87().set_control_and_status(0x37E, 0);
    m.cpu().gpr[x86::kRax] = NativeMachine::kMissing - 2;
    m.put<uint32_t>(NativeMachine::kMissing - 2, 0x12345678);

    // fld1; fldz; fdivp (infinity, masked); fistp dword [rax] across pages
    EXPECT_EQ(m.run_code({0xD9, 0xE8, 0xD9, 0xEE, 0xDE, 0xF9, 0xDB, 0x18}), std::nullopt);

    EXPECT_TRUE(m.x87().error_pending());
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 2), 0x12345678U);
    EXPECT_EQ(m.x87().top(), 7U);  // not popped
}

TEST_F(NativeX87, MaskedInvalidStoreThroughACopyWritesIndefinite) {
    m.use_small_pages();
    m.cpu().gpr[x86::kRax] = NativeMachine::kMissing - 2;

    EXPECT_EQ(m.run_code({0xD9, 0xE8, 0xD9, 0xEE, 0xDE, 0xF9, 0xDB, 0x18}), std::nullopt);

    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 2), 0x80000000U);
    EXPECT_EQ(m.x87().top(), 0U);
}

TEST_F(NativeX87, SystemCodeSeesNoHostAddress) {
    m.cpu().gpr[x86::kRax] = M::kData;

    m.run_code({0xD9, 0xE8, 0xD9, 0x18});  // fld1; fstp dword [rax]

    EXPECT_EQ(m.x87().instruction_pointer(), M::kCode + 2);
    EXPECT_EQ(m.x87().data_pointer(), M::kData);
    EXPECT_EQ(m.x87().opcode(), 0x118);
}

// --- MMX ---------------------------------------------------------------------------------------

TEST_F(NativeX87, MmxSharesTheRegisters) {
    m.cpu().gpr[x86::kRax] = 0x1122334455667788;

    // fld1; movq mm3, rax; movq rcx, mm7
    EXPECT_EQ(m.run_code({0xD9, 0xE8, 0x48, 0x0F, 0x6E, 0xD8, 0x48, 0x0F, 0x7E, 0xF9}),
              std::nullopt);

    EXPECT_EQ(m.x87().top(), 0U);
    EXPECT_EQ(m.x87().tags(), 0xFF);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], uint64_t{1} << 63);  // FLD1 had made register 7 its ST0
    EXPECT_EQ(m.st(7), 1);
    EXPECT_TRUE(std::isnan(m.st(3)));  // exponent all ones
}

TEST_F(NativeX87, EmmsEmptiesTheStack) {
    EXPECT_EQ(m.run_code({0x0F, 0xEF, 0xC0, 0x0F, 0x77, 0xD9, 0xE8}), std::nullopt);

    EXPECT_EQ(m.x87().tags(), 0x80);
    EXPECT_EQ(m.st(0), 1);
}

TEST_F(NativeX87, MmxReportsPendingErrors) {
    m.x87().set_control_and_status(kZeroDivideUnmasked, 4);
    EXPECT_EQ(m.run_code({0x0F, 0xEF, 0xC0}), raised(Vector::mf));
    m.enter_vectors();
    m.x87().set_control_and_status(kZeroDivideUnmasked, 4);
    EXPECT_EQ(m.run_code({0x0F, 0x77}), raised(Vector::mf));  // emms
}

TEST_F(NativeX87, ConversionFromMmxRoundsAndFlags) {
    m.cpu().vectors.mxcsr = 0x1F80;
    m.cpu().gpr[x86::kRax] = 0x01000001;

    EXPECT_EQ(m.run_code({0x48, 0x0F, 0x6E, 0xC8, 0x0F, 0x2A, 0xD1}),
              std::nullopt);  // movq mm1, rax; cvtpi2ps xmm2, mm1

    EXPECT_EQ(m.xmm<float>(2), 16777216.0F);
    EXPECT_EQ(m.cpu().vectors.mxcsr, 0x1FA0U);
}

// --- environment -------------------------------------------------------------------------------

TEST_F(NativeX87, EnvironmentIn32BitFormat) {
    m.cpu().gpr[x86::kRax] = M::kData;

    // fldz; fld1; fnstenv [rax]
    m.run_code({0xD9, 0xEE, 0xD9, 0xE8, 0xD9, 0x30});

    EXPECT_EQ(m.get<uint32_t>(M::kData), 0xFFFF037FU);
    EXPECT_EQ(m.get<uint32_t>(M::kData + 4), 0xFFFF3000U);
    EXPECT_EQ(m.get<uint32_t>(M::kData + 8), 0xFFFF4FFFU);  // 7: zero, 6: valid, the others empty
    EXPECT_EQ(m.get<uint32_t>(M::kData + 12), M::kCode + 2);
    EXPECT_EQ(m.get<uint32_t>(M::kData + 16), 0x01E80000U);
    EXPECT_EQ(m.x87().control(), 0x37F);
}

TEST_F(NativeX87, StoringTheEnvironmentMasksExceptions) {
    m.x87().set_control_and_status(kZeroDivideUnmasked, 4);
    m.cpu().gpr[x86::kRax] = M::kData;

    EXPECT_EQ(m.run_code({0xD9, 0x30, 0x9B}), std::nullopt);  // fnstenv [rax]; fwait

    EXPECT_EQ(m.get<uint16_t>(M::kData), kZeroDivideUnmasked);
    EXPECT_EQ(m.get<uint16_t>(M::kData + 4), 0x8084);
    EXPECT_EQ(m.x87().control(), 0x37F);
    EXPECT_EQ(m.x87().status(), 4);
}

TEST_F(NativeX87, LoadingTheEnvironmentKeepsPhysicalRegisters) {
    m.cpu().gpr[x86::kRax] = M::kData;
    m.run_code({0xD9, 0xEE, 0xD9, 0xE8, 0xD9, 0x30});
    m.put<uint16_t>(M::kData + 4, 0x3800);  // TOP = 7

    EXPECT_EQ(m.run_code({0xD9, 0x20}), std::nullopt);  // fldenv [rax]

    EXPECT_EQ(m.x87().top(), 7U);
    EXPECT_EQ(m.st(0), 0);
    EXPECT_EQ(m.st(7), 1);
    EXPECT_EQ(m.x87().tags(), 0xC0);
}

TEST_F(NativeX87, SaveAndRestoreIn16BitFormat) {
    m.cpu().gpr[x86::kRax] = M::kData;

    m.run_code({0xD9, 0xE8, 0xD9, 0xEB, 0x66, 0xDD, 0x30});  // fld1; fldpi; fnsave (16-bit) [rax]
    EXPECT_EQ(m.get<uint16_t>(M::kData), 0x37F);
    EXPECT_EQ(m.get<uint16_t>(M::kData + 2), 0x3000);
    EXPECT_EQ(m.get<uint16_t>(M::kData + 6), (M::kCode + 2) & 0xFFFF);
    EXPECT_EQ(m.x87().tags(), 0);
    EXPECT_EQ(m.x87().top(), 0U);

    EXPECT_EQ(m.run_code({0x66, 0xDD, 0x20}), std::nullopt);  // frstor
    EXPECT_EQ(m.x87().tags(), 0xC0);
    EXPECT_EQ(m.st(1), 1);
    EXPECT_NEAR(static_cast<double>(m.st(0)), M_PI, 1e-15);
}

TEST_F(NativeX87, RealModeFormatSplitsPointers) {
    m.enter_real();
    m.x87().initialise();
    m.x87().set_pointers(0x5AB, 0xABCDE, 0x12345);
    m.cpu().gpr[x86::kRbx] = 0x8000;

    EXPECT_EQ(m.run_code({0xD9, 0x37}), std::nullopt);  // fnstenv [bx]

    EXPECT_EQ(m.get<uint16_t>(0x8006), 0xBCDE);
    EXPECT_EQ(m.get<uint16_t>(0x8008), 0xA5AB);
    EXPECT_EQ(m.get<uint16_t>(0x800A), 0x2345);
    EXPECT_EQ(m.get<uint16_t>(0x800C), 0x1000);

    EXPECT_EQ(m.run_code({0x66, 0xD9, 0x37, 0xDB, 0xE3, 0x66, 0xD9, 0x27}),
              std::nullopt);  // 32-bit; fninit; fldenv
    EXPECT_EQ(m.x87().instruction_pointer(), 0xABCDEU);
    EXPECT_EQ(m.x87().data_pointer(), 0x12345U);
    EXPECT_EQ(m.x87().opcode(), 0x5AB);
}

TEST_F(NativeX87, RunsIn16BitCode) {
    m.enter_real();
    m.x87().initialise();
    m.cpu().gpr[x86::kRbx] = 0x8000;
    m.put<uint16_t>(0x8000, 12);

    EXPECT_EQ(m.run_code({0xDF, 0x07, 0xD8, 0xC8, 0xDF, 0x5F, 0x02}),
              std::nullopt);  // fild [bx]; fmul st0; fistp [bx+2]

    EXPECT_EQ(m.get<uint16_t>(0x8002), 144);
}

}  // namespace
}  // namespace banyan::interp
