// SSE and AVX: when they exist, which faults come, and that a faulting instruction changes nothing.
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "cpu/interp/native_testing.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;
using x86::Vector;

class NativeSse : public testing::Test {
protected:
    NativeSse() { m.enter_vectors(); }

    NativeMachine m;
};

// --- availability ------------------------------------------------------------------------------

TEST_F(NativeSse, AddsRegisters) {
    m.set_xmm<float>(1, {1, 2, 3, 4});
    m.set_xmm<float>(2, {10, 20, 30, 40});

    EXPECT_EQ(m.run_code({0x0F, 0x58, 0xCA}), std::nullopt);  // addps xmm1, xmm2

    EXPECT_EQ(m.xmm<float>(1, 0), 11);
    EXPECT_EQ(m.xmm<float>(1, 3), 44);
}

TEST_F(NativeSse, IsUndefinedWithoutOsfxsr) {
    m.cpu().cr4 &= ~uint64_t{x86::kCr4OsFxsr};
    m.cpu().mode_changed();

    EXPECT_EQ(m.run_code({0x0F, 0x58, 0xCA}), raised(Vector::ud));
}

TEST_F(NativeSse, IsUndefinedUnderEmulationEvenIfSwitched) {
    m.set_cr0(x86::kCr0Em | x86::kCr0Ts);

    EXPECT_EQ(m.run_code({0x0F, 0x58, 0xCA}), raised(Vector::ud));
}

TEST_F(NativeSse, IsUnavailableAfterTaskSwitch) {
    m.set_cr0(x86::kCr0Ts);

    EXPECT_EQ(m.run_code({0x0F, 0x58, 0xCA}), raised(Vector::nm));
}

TEST_F(NativeSse, HintsNeedNoVectorState) {
    m.cpu().cr4 &= ~uint64_t{x86::kCr4OsFxsr};
    m.set_cr0(x86::kCr0Em | x86::kCr0Ts);

    // prefetcht0 [0]; mfence; sfence; lfence; pause; movnti [0x20000], eax
    EXPECT_EQ(m.run_code({0x0F, 0x18, 0x0C, 0x25, 0,    0,    0,    0,    0x0F,
                          0xAE, 0xF0, 0x0F, 0xAE, 0xF8, 0x0F, 0xAE, 0xE8, 0xF3,
                          0x90, 0x0F, 0xC3, 0x04, 0x25, 0,    0,    2,    0}),
              std::nullopt);
}

TEST_F(NativeSse, AvxIsUndefinedUntilEnabled) {
    m.cpu().xcr0 = 3;
    m.cpu().mode_changed();

    EXPECT_EQ(m.run_code({0xC5, 0xF0, 0x58, 0xCA}), raised(Vector::ud));  // vaddps xmm1, xmm1, xmm2
}

TEST_F(NativeSse, AvxIsUnavailableAfterTaskSwitch) {
    m.set_cr0(x86::kCr0Ts);

    EXPECT_EQ(m.run_code({0xC5, 0xF0, 0x58, 0xCA}), raised(Vector::nm));
}

TEST_F(NativeSse, VexRefusesPrefixesAndUnusedOperands) {
    EXPECT_EQ(m.run_code({0x66, 0xC5, 0xF0, 0x58, 0xCA}), raised(Vector::ud));
    m.enter_vectors();
    EXPECT_EQ(m.run_code({0xF3, 0xC5, 0xF0, 0x58, 0xCA}), raised(Vector::ud));
    m.enter_vectors();
    EXPECT_EQ(m.run_code({0x48, 0xC5, 0xF0, 0x58, 0xCA}), raised(Vector::ud));
    m.enter_vectors();
    EXPECT_EQ(m.run_code({0xF0, 0xC5, 0xF0, 0x58, 0x08}), raised(Vector::ud));
    m.enter_vectors();
    EXPECT_EQ(m.run_code({0xC5, 0xF0, 0x28, 0xCA}), raised(Vector::ud));  // vmovaps with vvvv
    m.enter_vectors();
    EXPECT_EQ(m.run_code({0xC5, 0xF5, 0x6E, 0xC8}), raised(Vector::ud));  // vmovd with L
}

TEST_F(NativeSse, LockIsUndefined) {
    EXPECT_EQ(m.run_code({0xF0, 0x0F, 0x58, 0x08}), raised(Vector::ud));
}

TEST_F(NativeSse, SetsOfNewerProcessorsAreUndefined) {
    EXPECT_EQ(m.run_code({0xC5, 0xED, 0x41, 0xCB}), raised(Vector::ud));  // kandb k1, k2, k3
    m.enter_vectors();
    EXPECT_EQ(m.run_code({0x0F, 0x0F, 0xC1, 0x9E}), raised(Vector::ud));  // pfadd
    m.enter_vectors();
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x74, 0x48, 0x58, 0xCA}), raised(Vector::ud));  // vaddps zmm
}

TEST_F(NativeSse, WideAesDoesBothHalves) {
    if (!m.cpu().model.has(Feature::vaes)) GTEST_SKIP() << "the host has no VAES";
    m.set_xmm<uint64_t>(1, {1, 2, 1, 2});
    m.set_xmm<uint64_t>(2, {3, 4, 3, 4});
    m.run_code({0xC4, 0xE2, 0x71, 0xDC, 0xDA,    // vaesenc xmm3, xmm1, xmm2
                0xC4, 0xE2, 0x75, 0xDC, 0xE2});  // vaesenc ymm4, ymm1, ymm2
    for (unsigned lane = 0; lane < 4; ++lane)
        EXPECT_EQ(m.xmm<uint64_t>(4, lane), m.xmm<uint64_t>(3, lane % 2)) << lane;
    EXPECT_EQ(m.xmm<uint64_t>(3, 2), 0U);
}

// --- upper halves ------------------------------------------------------------------------------

TEST_F(NativeSse, LegacyKeepsUpperHalfAndVexClearsIt) {
    m.set_xmm<uint64_t>(1, {1, 2, 3, 4});
    m.run_code({0x66, 0x0F, 0xEF, 0xC9});  // pxor xmm1, xmm1
    EXPECT_EQ(m.xmm<uint64_t>(1, 0), 0U);
    EXPECT_EQ(m.xmm<uint64_t>(1, 3), 4U);

    m.run_code({0xC5, 0xF1, 0xEF, 0xC9});  // vpxor xmm1, xmm1, xmm1
    EXPECT_EQ(m.xmm<uint64_t>(1, 3), 0U);
}

TEST_F(NativeSse, ScalarMoveKeepsTheRestOfItsDestination) {
    m.set_xmm<uint32_t>(1, {1, 2, 3, 4});
    m.set_xmm<uint32_t>(2, {10, 20, 30, 40});

    m.run_code({0xF3, 0x0F, 0x10, 0xCA});  // movss xmm1, xmm2

    EXPECT_EQ(m.xmm<uint32_t>(1, 0), 10U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 3), 4U);
}

TEST_F(NativeSse, VzeroupperAndVzeroall) {
    m.set_xmm<uint64_t>(15, {1, 2, 3, 4});
    m.run_code({0xC5, 0xF8, 0x77});
    EXPECT_EQ(m.xmm<uint64_t>(15, 1), 2U);
    EXPECT_EQ(m.xmm<uint64_t>(15, 2), 0U);

    m.run_code({0xC5, 0xFC, 0x77});
    EXPECT_EQ(m.xmm<uint64_t>(15, 1), 0U);
}

// --- memory ------------------------------------------------------------------------------------

TEST_F(NativeSse, MisalignedLegacyOperandIsGp) {
    m.cpu().gpr[x86::kRax] = M::kData + 8;

    EXPECT_EQ(m.run_code({0x0F, 0x28, 0x08}), raised(Vector::gp));  // movaps xmm1, [rax]
    m.enter_vectors();
    m.cpu().gpr[x86::kRax] = M::kData + 8;
    EXPECT_EQ(m.run_code({0x0F, 0x58, 0x08}), raised(Vector::gp));  // addps xmm1, [rax]
    m.enter_vectors();
    m.cpu().gpr[x86::kRax] = M::kData + 8;
    EXPECT_EQ(m.run_code({0x66, 0x0F, 0x2D, 0x08}), raised(Vector::gp));  // cvtpd2pi mm1, [rax]
}

TEST_F(NativeSse, UnalignedMovesAndVexOperandsTakeAnyAddress) {
    m.cpu().gpr[x86::kRax] = M::kData + 1;
    m.put_all<uint32_t>(M::kData + 1, {1, 2, 3, 4});

    EXPECT_EQ(m.run_code({0x0F, 0x10, 0x08}), std::nullopt);        // movups xmm1, [rax]
    EXPECT_EQ(m.run_code({0xC5, 0xF1, 0xFE, 0x10}), std::nullopt);  // vpaddd xmm2, xmm1, [rax]
    EXPECT_EQ(m.xmm<uint32_t>(2, 3), 8U);
}

TEST_F(NativeSse, VexAlignedMovesWantTheirWholeSize) {
    m.cpu().gpr[x86::kRax] = M::kData + 16;

    EXPECT_EQ(m.run_code({0xC5, 0xF8, 0x28, 0x08}), std::nullopt);        // vmovaps xmm1, [rax]
    EXPECT_EQ(m.run_code({0xC5, 0xFC, 0x28, 0x08}), raised(Vector::gp));  // vmovaps ymm1, [rax]
}

TEST_F(NativeSse, LoadAcrossPagesIsWhole) {
    const uint64_t at = M::kData + 0xFF8;
    m.put_all<uint64_t>(at, {0x1111111111111111, 0x2222222222222222});
    m.use_small_pages();
    m.cpu().gpr[x86::kRax] = at;

    EXPECT_EQ(m.run_code({0xF3, 0x0F, 0x6F, 0x08}), std::nullopt);  // movdqu xmm1, [rax]

    EXPECT_EQ(m.xmm<uint64_t>(1, 0), 0x1111111111111111U);
    EXPECT_EQ(m.xmm<uint64_t>(1, 1), 0x2222222222222222U);
}

TEST_F(NativeSse, StoreAcrossMissingPageWritesNothing) {
    m.use_small_pages();
    m.unmap(NativeMachine::kMissing);
    m.put<uint64_t>(NativeMachine::kMissing - 8, 7);
    m.cpu().gpr[x86::kRax] = NativeMachine::kMissing - 8;
    m.set_xmm<uint64_t>(1, {1, 2});

    EXPECT_EQ(m.run_code({0xF3, 0x0F, 0x7F, 0x08}), raised(Vector::pf));  // movdqu [rax], xmm1

    EXPECT_EQ(m.get<uint64_t>(NativeMachine::kMissing - 8), 7U);
    EXPECT_EQ(m.cpu().cr2, NativeMachine::kMissing);
}

TEST_F(NativeSse, FaultingLoadLeavesItsDestination) {
    m.use_small_pages();
    m.unmap(NativeMachine::kMissing);
    m.cpu().gpr[x86::kRax] = NativeMachine::kMissing;
    m.set_xmm<uint64_t>(1, {1, 2});

    EXPECT_EQ(m.run_code({0x66, 0x0F, 0x6F, 0x08}), raised(Vector::pf));

    EXPECT_EQ(m.xmm<uint64_t>(1, 0), 1U);
}

TEST_F(NativeSse, DeviceMemoryGoesThroughTheBus) {
    m.cpu().gpr[x86::kRax] = M::kMemorySize;  // nothing is there: reads as ones

    EXPECT_EQ(m.run_code({0x66, 0x0F, 0x6F, 0x08, 0x66, 0x0F, 0x7F, 0x08}), std::nullopt);

    EXPECT_EQ(m.xmm<uint64_t>(1, 1), ~uint64_t{0});
}

TEST_F(NativeSse, CacheLineFlushFaultsAsALoad) {
    m.use_small_pages();
    m.unmap(NativeMachine::kMissing);
    m.cpu().gpr[x86::kRax] = NativeMachine::kMissing;

    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x38}), raised(Vector::pf));  // clflush [rax]
}

// --- MXCSR and its exceptions ------------------------------------------------------------------

constexpr uint32_t kAllMasked = 0x1F80;
constexpr uint32_t kInvalid = 1;
constexpr uint32_t kZeroDivide = 4;
constexpr uint32_t kOverflow = 8;
constexpr uint32_t kUnderflow = 16;
constexpr uint32_t kPrecision = 32;

constexpr uint32_t unmask(uint32_t exceptions) {
    return kAllMasked & ~(exceptions << 7);
}

TEST_F(NativeSse, MaskedExceptionsOnlySetFlags) {
    m.set_xmm<float>(1, {1, 1, 1, 1});
    m.set_xmm<float>(2, {0, 3, 1, 1});

    EXPECT_EQ(m.run_code({0x0F, 0x5E, 0xCA}), std::nullopt);  // divps xmm1, xmm2

    EXPECT_TRUE(std::isinf(m.xmm<float>(1)));
    EXPECT_EQ(m.cpu().vectors.mxcsr, kAllMasked | kZeroDivide | kPrecision);
}

TEST_F(NativeSse, UnmaskedExceptionStopsTheInstruction) {
    m.cpu().vectors.mxcsr = unmask(kZeroDivide);
    m.set_xmm<float>(1, {1, 1, 1, 1});
    m.set_xmm<float>(2, {0, 3, 1, 1});

    EXPECT_EQ(m.run_code({0x0F, 0x5E, 0xCA}), raised(Vector::xm));

    EXPECT_EQ(m.xmm<float>(1), 1);
    EXPECT_EQ(m.cpu().vectors.mxcsr,
              unmask(kZeroDivide) | kZeroDivide);  // no precision: not computed
}

TEST_F(NativeSse, UnmaskedExceptionIsUndefinedIfTheSystemDoesNotKnowIt) {
    m.cpu().cr4 &= ~uint64_t{x86::kCr4OsXmmExcpt};
    m.cpu().vectors.mxcsr = unmask(kZeroDivide);
    m.set_xmm<float>(1, {1, 1, 1, 1});

    EXPECT_EQ(m.run_code({0x0F, 0x5E, 0xCA}), raised(Vector::ud));
}

TEST_F(NativeSse, OtherExceptionsUnmaskedDoNotDisturb) {
    m.cpu().vectors.mxcsr = unmask(kInvalid | kZeroDivide | kOverflow);
    m.set_xmm<float>(1, {1, 1, 1, 1});
    m.set_xmm<float>(2, {3, 3, 3, 3});

    EXPECT_EQ(m.run_code({0x0F, 0x5E, 0xCA}), std::nullopt);

    EXPECT_EQ(m.xmm<float>(1), 1.0F / 3.0F);
    EXPECT_EQ(m.cpu().vectors.mxcsr, unmask(kInvalid | kZeroDivide | kOverflow) | kPrecision);
}

TEST_F(NativeSse, UnmaskedUnderflowCatchesExactTinyResults) {
    const float least = std::numeric_limits<float>::min();
    m.set_xmm<float>(1, {least, 1, 1, 1});
    m.set_xmm<float>(2, {0.5F, 1, 1, 1});
    EXPECT_EQ(m.run_code({0x0F, 0x59, 0xCA}), std::nullopt);  // mulps: masked, exact: no flag
    EXPECT_EQ(m.cpu().vectors.mxcsr, kAllMasked);

    m.set_xmm<float>(1, {least, 1, 1, 1});
    m.cpu().vectors.mxcsr = unmask(kUnderflow);
    EXPECT_EQ(m.run_code({0x0F, 0x59, 0xCA}), raised(Vector::xm));
    EXPECT_EQ(m.cpu().vectors.mxcsr, unmask(kUnderflow) | kUnderflow);
    EXPECT_EQ(m.xmm<float>(1), least);
}

TEST_F(NativeSse, UnmaskedUnderflowIgnoresFlushToZero) {
    m.set_xmm<float>(1, {1, 1, 1, 1});
    m.set_xmm<float>(2, {0.5F, 1, 1, 1});
    m.cpu().vectors.mxcsr = unmask(kUnderflow) | 0x8000;

    EXPECT_EQ(m.run_code({0x0F, 0x59, 0xCA}), std::nullopt);

    EXPECT_EQ(m.xmm<float>(1), 0.5F);
    EXPECT_EQ(m.cpu().vectors.mxcsr, unmask(kUnderflow) | 0x8000);
}

TEST_F(NativeSse, UnmaskedStoreWritesNothing) {
    m.cpu().gpr[x86::kRax] = M::kData;
    m.put<uint64_t>(M::kData, 7);
    m.set_xmm<float>(1, {1e30F, 1, 1, 1});
    m.cpu().vectors.mxcsr = unmask(kOverflow);

    EXPECT_EQ(m.run_code({0xC4, 0xE3, 0x79, 0x1D, 0x08, 4}),
              raised(Vector::xm));  // vcvtps2ph [rax], xmm1, 4

    EXPECT_EQ(m.get<uint64_t>(M::kData), 7U);
}

TEST_F(NativeSse, CompareSetsFlagsOnlyIfItCompletes) {
    m.cpu().arith = from_eflags(x86::kCf | x86::kOf);
    m.set_xmm<double>(1, {std::numeric_limits<double>::quiet_NaN(), 0});
    m.cpu().vectors.mxcsr = unmask(kInvalid);
    EXPECT_EQ(m.run_code({0x66, 0x0F, 0x2F, 0xCA}), raised(Vector::xm));  // comisd xmm1, xmm2
    EXPECT_EQ(to_eflags(m.cpu().arith), x86::kCf | x86::kOf);

    m.enter_vectors();
    m.set_xmm<double>(1, {2, 0});
    m.set_xmm<double>(2, {1, 0});
    m.run_code({0x66, 0x0F, 0x2F, 0xCA});
    EXPECT_EQ(to_eflags(m.cpu().arith), 0U);
}

TEST_F(NativeSse, LdmxcsrRefusesReservedBits) {
    m.cpu().gpr[x86::kRax] = M::kData;
    m.put<uint32_t>(M::kData, 0x11F80);

    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x10}), raised(Vector::gp));

    EXPECT_EQ(m.cpu().vectors.mxcsr, kAllMasked);
}

TEST_F(NativeSse, RoundingModeOfTheGuestApplies) {
    m.cpu().vectors.mxcsr = kAllMasked | 0x4000;  // up
    m.set_xmm<double>(1, {1.25, 0});

    m.run_code({0xF2, 0x0F, 0x2D, 0xC1});  // cvtsd2si eax, xmm1

    EXPECT_EQ(m.cpu().gpr[x86::kRax], 2U);
}

// --- hidden operands ---------------------------------------------------------------------------

TEST_F(NativeSse, ImplicitRegistersAreTheGuests) {
    m.set_xmm<uint64_t>(0, {~uint64_t{0}, 0});
    m.set_xmm<uint64_t>(1, {1, 2});
    m.set_xmm<uint64_t>(2, {10, 20});
    m.run_code({0x66, 0x0F, 0x38, 0x15, 0xCA});  // blendvpd xmm1, xmm2, <xmm0>
    EXPECT_EQ(m.xmm<uint64_t>(1, 0), 10U);
    EXPECT_EQ(m.xmm<uint64_t>(1, 1), 2U);

    m.set_xmm<char>(1, {'b', 'c'});
    m.set_xmm<char>(2, {'a', 'b', 'c'});
    m.cpu().gpr[x86::kRax] = 2;
    m.cpu().gpr[x86::kRdx] = 3;
    m.run_code(
        {0x66, 0x0F, 0x3A, 0x61, 0xCA, 0x0C});  // pcmpestri xmm1, xmm2: find one in the other
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 1U);
    EXPECT_NE(to_eflags(m.cpu().arith) & x86::kCf, 0U);
    EXPECT_EQ(m.cpu().gpr[x86::kRax], 2U);
}

}  // namespace
}  // namespace banyan::interp
