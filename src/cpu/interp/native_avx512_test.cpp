// AVX-512: its state, and memory operands under an opmask.
#include <gtest/gtest.h>

#include "cpu/interp/native_testing.hpp"
#include "cpu/interp/native_wide.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;
using x86::Vector;

constexpr uint64_t kEnabled = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx | x86::kXcr0Avx512;

class Avx512 : public testing::Test {
protected:
    Avx512() {
        m.enter_vectors();
        m.use_small_pages();
        m.unmap(NativeMachine::kMissing);
        m.cpu().gpr[x86::kRdi] = NativeMachine::kMissing - 8;
        m.put_all<uint32_t>(NativeMachine::kMissing - 8, {11, 22});
        enable(kEnabled);
    }
    void SetUp() override {
        if (!m.cpu().model.has(Feature::avx512f)) GTEST_SKIP() << "the host has no AVX-512";
    }

    void enable(uint64_t components) {
        m.cpu().xcr0 = components;
        m.cpu().mode_changed();
    }
    // All 16 elements of 32 bits: `first`, `first + 1`, ...
    void count_from(unsigned reg, uint32_t first) {
        WideVector value;
        for (uint32_t i = 0; i < 16; ++i) {
            const uint32_t element = first + i;
            std::memcpy(&value[i * 4], &element, sizeof(element));
        }
        put_vector(m.cpu(), reg, value);
    }
    uint32_t element(unsigned reg, unsigned i) {
        uint32_t value;
        std::memcpy(&value, &get_vector(m.cpu(), reg)[i * 4], sizeof(value));
        return value;
    }
    uint64_t& k(unsigned i) { return m.cpu().avx512.k[i]; }

    NativeMachine m;
};

// --- availability ------------------------------------------------------------------------------

TEST_F(Avx512, IsUndefinedUntilItsStateIsEnabled) {
    enable(7);
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x6D, 0x48, 0xFE, 0xCB}), raised(Vector::ud));
    m.enter_vectors();
    EXPECT_EQ(m.run_code({0xC5, 0xED, 0x41, 0xCB}), raised(Vector::ud));  // kandb k1, k2, k3
    m.enter_vectors();
    enable(kEnabled);
    m.cpu().cr4 &= ~uint64_t{x86::kCr4OsXsave};
    m.cpu().mode_changed();
    EXPECT_EQ(m.run_code({0xC5, 0xED, 0x41, 0xCB}), raised(Vector::ud));
}

TEST_F(Avx512, IsNotAvailableWhileTasksAreSwitched) {
    m.set_cr0(x86::kCr0Ts);
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x6D, 0x48, 0xFE, 0xCB}), raised(Vector::nm));
}

TEST_F(Avx512, XsetbvWantsAllThreeComponentsAndAvx) {
    m.cpu().gpr[x86::kRcx] = m.cpu().gpr[x86::kRdx] = 0;
    for (const unsigned bad : {0x27U, 0x67U, 0xC7U, 0xE3U, 0xE1U, 0x1E7U}) {
        m.enter_vectors();
        m.cpu().gpr[x86::kRcx] = m.cpu().gpr[x86::kRdx] = 0;
        m.cpu().gpr[x86::kRax] = bad;
        EXPECT_EQ(m.run_code({0x0F, 0x01, 0xD1}), raised(Vector::gp)) << bad;
    }
    m.enter_vectors();
    m.cpu().gpr[x86::kRcx] = m.cpu().gpr[x86::kRdx] = 0;
    m.cpu().gpr[x86::kRax] = kEnabled;
    EXPECT_EQ(m.run_code({0x0F, 0x01, 0xD1}), std::nullopt);
    EXPECT_EQ(m.cpu().xcr0, kEnabled);
}

TEST_F(Avx512, WorksIn32BitCode) {
    m.enter_protected();
    m.cpu().cr4 |= x86::kCr4OsFxsr | x86::kCr4OsXsave;
    enable(kEnabled);
    m.cpu().gpr[x86::kRax] = 5;
    count_from(2, 100);
    count_from(3, 1000);

    EXPECT_EQ(m.run_code({0xC5, 0xFB, 0x92, 0xC8,                // kmovd k1, eax
                          0x62, 0xF1, 0x6D, 0x48, 0xFE, 0xCB}),  // vpaddd zmm1, zmm2, zmm3
              std::nullopt);

    EXPECT_EQ(k(1), 5U);
    EXPECT_EQ(element(1, 15), 1130U);
}

// --- registers ---------------------------------------------------------------------------------

TEST_F(Avx512, All32RegistersAreWhole) {
    count_from(17, 100);
    count_from(18, 1000);

    m.run_code({0x62, 0x21, 0x75, 0x40, 0xFE, 0xFA});  // vpaddd zmm31, zmm17, zmm18

    for (unsigned i = 0; i < 16; ++i)
        EXPECT_EQ(element(31, i), 1100 + 2 * i);
}

TEST_F(Avx512, ShortResultsClearTheRest) {
    const std::initializer_list<int> vex = {0xC5, 0xED, 0xFE, 0xCB};            // vpaddd ymm
    const std::initializer_list<int> evex = {0x62, 0xB1, 0x75, 0, 0xFE, 0xCA};  // of xmm17, xmm18
    for (const auto& code : {vex, evex}) {
        count_from(1, 7);
        m.run_code(code);
        for (unsigned i = 8; i < 16; ++i)
            EXPECT_EQ(element(1, i), 0U);
    }
}

TEST_F(Avx512, LegacyInstructionsKeepTheRest) {
    count_from(1, 7);

    m.run_code({0x66, 0x0F, 0xFE, 0xCB});  // paddd xmm1, xmm3

    EXPECT_EQ(element(1, 4), 11U);
    EXPECT_EQ(element(1, 15), 22U);
}

TEST_F(Avx512, VzeroupperReachesTheLower16) {
    count_from(15, 7);
    count_from(16, 7);

    m.run_code({0xC5, 0xF8, 0x77});

    EXPECT_EQ(element(15, 3), 10U);
    EXPECT_EQ(element(15, 4), 0U);
    EXPECT_EQ(element(15, 15), 0U);
    EXPECT_EQ(element(16, 15), 22U);
    EXPECT_EQ(m.cpu().avx512.zmm_high_in_use, 0);
}

TEST_F(Avx512, OpmasksMergeOrZero) {
    count_from(1, 7);
    count_from(2, 100);
    count_from(3, 1000);
    k(3) = 0x8001;
    m.cpu().gpr[x86::kRdi] = M::kData;

    m.run_code({0x62, 0x61, 0x6D, 0xCB, 0xFE, 0x3F,    // vpaddd zmm31{k3}{z}, zmm2, [rdi]
                0x62, 0xF1, 0x6D, 0x4B, 0xFE, 0xCB});  // vpaddd zmm1{k3}, zmm2, zmm3

    EXPECT_EQ(element(31, 0), 100U);
    EXPECT_EQ(element(31, 1), 0U);
    EXPECT_EQ(element(1, 0), 1100U);
    EXPECT_EQ(element(1, 1), 8U);
    EXPECT_EQ(element(1, 15), 1130U);
}

// --- memory under an opmask --------------------------------------------------------------------

TEST_F(Avx512, LoadBesideAMissingPage) {
    count_from(1, 7);
    k(1) = 3;

    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x7E, 0x49, 0x6F, 0x0F}),
              std::nullopt);  // vmovdqu32 zmm1{k1}, [rdi]

    EXPECT_EQ(element(1, 1), 22U);
    EXPECT_EQ(element(1, 2), 9U);
}

TEST_F(Avx512, LoadOfAMissingElementFaults) {
    count_from(1, 7);
    k(1) = 0x11;

    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x7E, 0x49, 0x6F, 0x0F}), raised(Vector::pf));

    EXPECT_EQ(m.cpu().cr2, NativeMachine::kMissing + 8);
    EXPECT_EQ(element(1, 0), 7U);
}

TEST_F(Avx512, StoreWritesAllOrNothing) {
    count_from(1, 7);
    k(1) = 5;
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x7E, 0x49, 0x7F, 0x0F}),
              raised(Vector::pf));  // vmovdqu32 [rdi]{k1}, zmm1
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 8), 11U);

    m.cpu().rip = M::kCode;
    k(1) = 2;
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x7E, 0x49, 0x7F, 0x0F}), std::nullopt);
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 8), 11U);
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 4), 8U);
}

// It faults as a whole, but writes what is chosen, however the memory is reached.
TEST_F(Avx512, VextractKeepsWhatItsOpmaskLeavesOut) {
    count_from(1, 7);
    k(1) = 2;
    EXPECT_EQ(m.run_code({0x62, 0xF3, 0x7D, 0x49, 0x39, 0x0F, 0x00}),
              raised(Vector::pf));  // vextracti32x4 [rdi]{k1}, zmm1, 0

    m.cpu().rip = M::kCode;
    m.map(NativeMachine::kMissing);
    EXPECT_EQ(m.run_code({0x62, 0xF3, 0x7D, 0x49, 0x39, 0x0F, 0x00}), std::nullopt);
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 8), 11U);
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 4), 8U);
}

TEST_F(Avx512, CompressAndExpandReachWhatIsChosen) {
    count_from(1, 7);
    k(1) = 0x8010;

    EXPECT_EQ(m.run_code({0x62, 0xF2, 0x7D, 0x49, 0x8B, 0x0F,    // vpcompressd [rdi]{k1}, zmm1
                          0x62, 0xF2, 0x7D, 0xC9, 0x89, 0x17}),  // vpexpandd zmm2{k1}{z}, [rdi]
              std::nullopt);

    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 8), 11U);
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 4), 22U);
    EXPECT_EQ(element(2, 4), 11U);
    EXPECT_EQ(element(2, 15), 22U);

    k(1) = 7;
    EXPECT_EQ(m.run_code({0x62, 0xF2, 0x7D, 0x49, 0x8B, 0x0F}), raised(Vector::pf));
}

TEST_F(Avx512, BroadcastsReadOnlyWhatSomeElementNeeds) {
    m.cpu().gpr[x86::kRdi] = NativeMachine::kMissing - 4;
    count_from(1, 7);
    count_from(2, 100);
    k(1) = 0;
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x6D, 0x59, 0xFE, 0x4F, 0x01}),
              std::nullopt);  // vpaddd zmm1{k1}, zmm2, [rdi+4]{1to16}

    k(1) = 0x1000;  // the first of four
    EXPECT_EQ(m.run_code({0x62, 0xF2, 0x7D, 0x49, 0x5A, 0x0F}),
              std::nullopt);  // vbroadcasti32x4 zmm1{k1}, [rdi]
    EXPECT_EQ(element(1, 12), 22U);

    k(1) = 0x2000;
    EXPECT_EQ(m.run_code({0x62, 0xF2, 0x7D, 0x49, 0x5A, 0x0F}), raised(Vector::pf));
}

TEST_F(Avx512, AlignedMovesWantTheirSize) {
    m.cpu().gpr[x86::kRdi] = M::kData + 32;
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x7D, 0x48, 0x6F, 0x0F}),
              raised(Vector::gp));  // vmovdqa32 zmm1, [rdi]
}

TEST_F(Avx512, AlignedMovesOfNoElementWantNothing) {
    m.cpu().gpr[x86::kRdi] = M::kData + 1;
    count_from(1, 7);
    k(1) = 0xFC;
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0xFD, 0x89, 0x28, 0x0F}),
              std::nullopt);  // vmovapd xmm1{k1}{z}, [rdi]
    EXPECT_EQ(element(1, 0), 0U);
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0xFD, 0x09, 0x29, 0x0F}),
              std::nullopt);  // vmovapd [rdi]{k1}, xmm1
    k(1) = 0x2;
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0xFD, 0x09, 0x29, 0x0F}), raised(Vector::gp));
}

TEST_F(Avx512, ShortDisplacementsAreScaled) {
    m.cpu().gpr[x86::kRdi] = M::kData;
    m.put<uint32_t>(M::kData + 64, 77);

    m.run_code({0x62, 0xF1, 0x7E, 0x48, 0x6F, 0x4F, 0x01});  // vmovdqu32 zmm1, [rdi+64]

    EXPECT_EQ(element(1, 0), 77U);
}

TEST_F(Avx512, GatherStopsWhereItFaults) {
    count_from(1, 7);
    count_from(3, 0);
    k(1) = 0xFE;
    EXPECT_EQ(m.run_code({0x62, 0xF2, 0x7D, 0x49, 0x90, 0x0C, 0x9F}),
              raised(Vector::pf));  // vpgatherdd zmm1{k1}, [rdi+zmm3*4]
    EXPECT_EQ(m.cpu().cr2, NativeMachine::kMissing);
    EXPECT_EQ(k(1), 0xFCU);
    EXPECT_EQ(element(1, 0), 7U);
    EXPECT_EQ(element(1, 1), 22U);
}

// Of 128 bits, so that there are bytes above: cleared with the first element, not before.
TEST_F(Avx512, GatherThatFaultsAtOnceChangesNothing) {
    count_from(1, 7);
    count_from(3, 0);
    k(1) = 0x4;
    EXPECT_EQ(m.run_code({0x62, 0xF2, 0x7D, 0x09, 0x90, 0x0C, 0x9F}),
              raised(Vector::pf));  // vpgatherdd xmm1{k1}, [rdi+xmm3*4]
    EXPECT_EQ(k(1), 0x4U);
    EXPECT_EQ(element(1, 5), 12U);
    k(1) = 0x6;
    EXPECT_EQ(m.run_code({0x62, 0xF2, 0x7D, 0x09, 0x90, 0x0C, 0x9F}), raised(Vector::pf));
    EXPECT_EQ(element(1, 1), 22U);
    EXPECT_EQ(element(1, 5), 0U);
}

TEST_F(Avx512, ScatterStopsWhereItFaults) {
    count_from(1, 21);
    count_from(3, 0);
    k(1) = 0xFE;
    EXPECT_EQ(m.run_code({0x62, 0xF2, 0x7D, 0x49, 0xA0, 0x0C, 0x9F}),
              raised(Vector::pf));  // vpscatterdd [rdi+zmm3*4]{k1}, zmm1
    EXPECT_EQ(k(1), 0xFCU);
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 8), 11U);
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 4), 22U);
}

// --- exceptions --------------------------------------------------------------------------------

TEST_F(Avx512, UnmaskedExceptionsLeaveEverythingAsItWas) {
    m.cpu().vectors.mxcsr = 0x1F00;  // invalid is not masked
    count_from(1, 7);
    count_from(2, 0x7F800001);  // a signalling NaN and more
    count_from(3, 0x3F800000);

    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x6C, 0x48, 0x58, 0xCB}),
              raised(Vector::xm));  // vaddps zmm1, zmm2, zmm3
    EXPECT_EQ(element(1, 0), 7U);
    EXPECT_EQ(element(1, 15), 22U);

    m.cpu().rip = M::kCode;
    m.cpu().vectors.mxcsr = 0x1F00;
    EXPECT_EQ(m.run_code({0x62, 0xF1, 0x6C, 0x78, 0x58, 0xCB}),
              std::nullopt);  // vaddps zmm1, zmm2, zmm3, {rz-sae}
    EXPECT_EQ(element(1, 0), 0x7FC00001U);
    EXPECT_EQ(m.cpu().vectors.mxcsr, 0x1F00U);
}

// --- XSAVE -------------------------------------------------------------------------------------

class Avx512State : public Avx512 {
protected:
    Avx512State() {
        for (uint64_t at = 0; at < 4096; at += 8)
            m.put<uint64_t>(M::kData + at, 0);
        m.cpu().gpr[x86::kRdi] = M::kData;
        m.cpu().gpr[x86::kRdx] = 0;
        count_from(5, 7);
        count_from(20, 30);
        k(6) = 0x1234;
    }
    void clear_registers() {
        count_from(5, 0);
        count_from(20, 0);
        k(6) = 0;
    }
    void expect_registers() {
        EXPECT_EQ(element(5, 15), 22U);
        EXPECT_EQ(element(20, 15), 45U);
        EXPECT_EQ(k(6), 0x1234U);
    }
};

TEST_F(Avx512State, GoesThroughXsaveAndXrstor) {
    m.cpu().gpr[x86::kRax] = kEnabled;
    m.run_code({0x48, 0x0F, 0xAE, 0x27});  // xsave64 [rdi]
    EXPECT_EQ(m.get<uint64_t>(M::kData + 512), 0xE6U);
    EXPECT_EQ(m.get<uint64_t>(M::kData + x86::kXsaveOpmaskOffset + 6 * 8), 0x1234U);
    EXPECT_EQ(m.get<uint32_t>(M::kData + x86::kXsaveZmmHighOffset + 5 * 32), 15U);
    EXPECT_EQ(m.get<uint32_t>(M::kData + x86::kXsaveHighZmmOffset + 4 * 64), 30U);
    clear_registers();

    EXPECT_EQ(m.run_code({0x48, 0x0F, 0xAE, 0x2F}), std::nullopt);  // xrstor64 [rdi]
    expect_registers();
}

TEST_F(Avx512State, CompactedComponentsFollowEachOther) {
    m.cpu().gpr[x86::kRax] = x86::kXcr0Sse | x86::kXcr0Avx512;  // no AVX
    m.run_code({0x48, 0x0F, 0xC7, 0x27});                       // xsavec64 [rdi]
    EXPECT_EQ(m.get<uint64_t>(M::kData + 520), uint64_t{1} << 63 | 0xE2);
    EXPECT_EQ(m.get<uint64_t>(M::kData + 576 + 6 * 8), 0x1234U);
    EXPECT_EQ(m.get<uint32_t>(M::kData + 576 + 64 + 5 * 32), 15U);
    EXPECT_EQ(m.get<uint32_t>(M::kData + 576 + 64 + 512 + 4 * 64), 30U);
    clear_registers();

    EXPECT_EQ(m.run_code({0x48, 0x0F, 0xAE, 0x2F}), std::nullopt);
    expect_registers();
}

// An area whose end the instruction was not asked for.
TEST_F(Avx512State, CompactedAreaMayReachIntoAMissingPage) {
    m.cpu().gpr[x86::kRax] = x86::kXcr0Opmask;
    m.cpu().gpr[x86::kRdi] = NativeMachine::kMissing - 576;
    for (uint64_t at = 0; at < 576; at += 8)
        m.put<uint64_t>(NativeMachine::kMissing - 576 + at, 0);
    m.put<uint64_t>(NativeMachine::kMissing - 64, x86::kXcr0Opmask);
    m.put<uint64_t>(NativeMachine::kMissing - 56, uint64_t{1} << 63 | kEnabled);
    EXPECT_EQ(m.run_code({0x48, 0x0F, 0xAE, 0x2F}), raised(Vector::pf));
    EXPECT_EQ(m.cpu().cr2, NativeMachine::kMissing + 256);  // behind AVX's
}

TEST_F(Avx512State, XrstorInitialises) {
    m.cpu().gpr[x86::kRax] = x86::kXcr0Avx512;

    EXPECT_EQ(m.run_code({0x48, 0x0F, 0xAE, 0x2F}), std::nullopt);

    EXPECT_EQ(element(5, 7), 14U);
    EXPECT_EQ(element(5, 8), 0U);
    EXPECT_EQ(element(20, 0), 0U);
    EXPECT_EQ(k(6), 0U);
    EXPECT_EQ(m.cpu().avx512.zmm_high_in_use, 0);
}

TEST_F(Avx512State, IsInRegisterState) {
    x86::RegisterState state;
    m.cpu().get_state(state);
    clear_registers();

    m.cpu().set_state(state);

    expect_registers();
}

TEST_F(Avx512State, SizesAreInCpuid) {
    const auto leaf = [&](uint32_t subleaf) {
        return m.cpu().model.cpuid(0xD, subleaf, 0, m.cpu().cr4, kEnabled);
    };
    EXPECT_EQ(leaf(0).eax, kEnabled);
    EXPECT_EQ(leaf(0).ebx, x86::kXsaveSize);
    EXPECT_EQ(leaf(0).ecx, x86::kXsaveSize);
    EXPECT_EQ(leaf(5).eax, 64U);
    EXPECT_EQ(leaf(6).ebx, x86::kXsaveZmmHighOffset);
    EXPECT_EQ(leaf(7).eax, 1024U);
    EXPECT_EQ(leaf(8).eax, 0U);
}

}  // namespace
}  // namespace banyan::interp
