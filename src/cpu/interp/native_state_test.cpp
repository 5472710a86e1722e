// FXSAVE, FXRSTOR and the XSAVE family.
#include <gtest/gtest.h>

#include "cpu/interp/native_testing.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;
using x86::Vector;

constexpr uint64_t kArea = M::kData;
constexpr uint64_t kHeader = kArea + 512;
constexpr uint64_t kUpperHalves = kArea + 576;
constexpr uint64_t kFilled = 0x5555555555555555;

class NativeState : public testing::Test {
protected:
    NativeState() {
        m.enter_vectors();
        prepare();
    }
    void prepare() {
        for (uint64_t at = 0; at < 1024; at += 8)
            m.put<uint64_t>(kArea + at, kFilled);
        m.cpu().gpr[x86::kRdi] = kArea;
        m.cpu().gpr[x86::kRax] = 7;
        m.cpu().gpr[x86::kRdx] = 0;
    }
    void clear_header() {
        for (uint64_t at = 0; at < 64; at += 8)
            m.put<uint64_t>(kHeader + at, 0);
    }

    NativeMachine m;
};

// --- FXSAVE ------------------------------------------------------------------------------------

TEST_F(NativeState, FxsaveAndFxrstor) {
    m.set_xmm<uint64_t>(15, {0x1111, 0x2222, 0x3333, 0x4444});
    m.cpu().vectors.mxcsr = 0x1FA0;
    m.run_code({0xD9, 0xE8, 0x48, 0x0F, 0xAE, 0x07});  // fld1; fxsave64 [rdi]
    EXPECT_EQ(m.get<uint16_t>(kArea), 0x37F);
    EXPECT_EQ(m.get<uint8_t>(kArea + 4), 0x80);
    EXPECT_EQ(m.get<uint64_t>(kArea + 8), M::kCode);
    EXPECT_EQ(m.get<uint32_t>(kArea + 24), 0x1FA0U);
    EXPECT_EQ(m.get<uint32_t>(kArea + 28), 0xFFFFU);
    EXPECT_EQ(m.get<uint64_t>(kArea + 32), uint64_t{1} << 63);
    EXPECT_EQ(m.get<uint64_t>(kArea + 160 + 15 * 16), 0x1111U);
    EXPECT_EQ(m.get<uint64_t>(kArea + 464), kFilled);  // free for software

    m.enter_vectors();
    m.cpu().gpr[x86::kRdi] = kArea;
    EXPECT_EQ(m.run_code({0x48, 0x0F, 0xAE, 0x0F}), std::nullopt);  // fxrstor64 [rdi]
    EXPECT_EQ(m.st(0), 1);
    EXPECT_EQ(m.cpu().vectors.mxcsr, 0x1FA0U);
    EXPECT_EQ(m.xmm<uint64_t>(15, 1), 0x2222U);
    EXPECT_EQ(m.xmm<uint64_t>(15, 2), 0U);
}

TEST_F(NativeState, FxsaveWithoutRexHasShortPointersAndNoSelectors) {
    m.x87().set_pointers(1, 0x1111222233334444, 0x5555666677778888);

    m.run_code({0x0F, 0xAE, 0x07});

    EXPECT_EQ(m.get<uint64_t>(kArea + 8), 0x33334444U);
    EXPECT_EQ(m.get<uint64_t>(kArea + 16), 0x77778888U);
}

TEST_F(NativeState, FxsaveLeavesSseAloneWithoutOsfxsr) {
    m.cpu().cr4 &= ~uint64_t{x86::kCr4OsFxsr};
    m.cpu().mode_changed();

    m.run_code({0x0F, 0xAE, 0x07});

    EXPECT_EQ(m.get<uint16_t>(kArea), 0x37F);
    EXPECT_EQ(m.get<uint64_t>(kArea + 24), kFilled);
    EXPECT_EQ(m.get<uint64_t>(kArea + 160), kFilled);
}

TEST_F(NativeState, FxsaveWantsAlignment) {
    m.cpu().gpr[x86::kRdi] = kArea + 8;
    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x07}), raised(Vector::gp));
}

TEST_F(NativeState, FxrstorRefusesReservedMxcsrBits) {
    m.run_code({0x0F, 0xAE, 0x07});
    m.put<uint32_t>(kArea + 24, 0x10000);
    m.put<uint16_t>(kArea, 0x27F);

    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x0F}), raised(Vector::gp));

    EXPECT_EQ(m.x87().control(), 0x37F);
}

TEST_F(NativeState, StateImagesAreUnavailableAfterTaskSwitch) {
    m.set_cr0(x86::kCr0Ts);
    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x07}), raised(Vector::nm));
    m.enter_vectors();
    m.set_cr0(x86::kCr0Ts);
    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x27}), raised(Vector::nm));  // xsave [rdi]
}

TEST_F(NativeState, AcrossAMissingPageNothingIsWritten) {
    m.use_small_pages();
    m.unmap(kArea + 0x1000);
    m.cpu().gpr[x86::kRdi] = kArea + 0x1000 - 64;
    m.put<uint64_t>(kArea + 0x1000 - 64, 7);

    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x07}), raised(Vector::pf));

    EXPECT_EQ(m.get<uint64_t>(kArea + 0x1000 - 64), 7U);
    EXPECT_EQ(m.cpu().cr2, kArea + 0x1000);
}

// --- XSAVE -------------------------------------------------------------------------------------

TEST_F(NativeState, XsaveIsUndefinedUntilEnabled) {
    m.cpu().cr4 &= ~uint64_t{x86::kCr4OsXsave};
    m.cpu().mode_changed();
    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x27}), raised(Vector::ud));
}

TEST_F(NativeState, XsaveSaysWhatIsInUse) {
    clear_header();
    m.set_xmm<uint64_t>(3, {0, 0, 0, 9});

    m.run_code({0x0F, 0xAE, 0x27});

    EXPECT_EQ(m.get<uint64_t>(kHeader), 4U);
    EXPECT_EQ(m.get<uint64_t>(kUpperHalves + 3 * 16 + 8), 9U);
    EXPECT_EQ(m.get<uint64_t>(kArea + 160), 0U);  // saved although initial
}

TEST_F(NativeState, XsaveKeepsTheBitsOfOtherComponents) {
    clear_header();
    m.put<uint64_t>(kHeader, 6);
    m.cpu().gpr[x86::kRax] = 1;

    m.run_code({0xD9, 0xE8, 0x0F, 0xAE, 0x27});  // fld1; xsave [rdi]

    EXPECT_EQ(m.get<uint64_t>(kHeader), 7U);
    EXPECT_EQ(m.get<uint64_t>(kArea + 160), kFilled);
    EXPECT_EQ(m.get<uint64_t>(kArea + 24), kFilled);  // MXCSR belongs to the others
}

TEST_F(NativeState, XsaveoptLeavesOutInitialComponents) {
    clear_header();
    m.set_xmm<uint64_t>(3, {8, 0, 0, 0});

    m.run_code({0x0F, 0xAE, 0x37});  // xsaveopt [rdi]

    EXPECT_EQ(m.get<uint64_t>(kHeader), 2U);
    EXPECT_EQ(m.get<uint64_t>(kArea + 160 + 3 * 16), 8U);
    EXPECT_EQ(m.get<uint64_t>(kUpperHalves), kFilled);
    EXPECT_EQ(m.get<uint64_t>(kArea), kFilled);
}

TEST_F(NativeState, XsavecWritesACompactedHeader) {
    m.cpu().vectors.mxcsr = 0x1FA0;

    m.run_code({0x0F, 0xC7, 0x27});  // xsavec [rdi]

    EXPECT_EQ(m.get<uint64_t>(kHeader), 2U);  // MXCSR makes SSE in use
    EXPECT_EQ(m.get<uint64_t>(kHeader + 8), uint64_t{1} << 63 | 7);
    EXPECT_EQ(m.get<uint32_t>(kArea + 24), 0x1FA0U);
    EXPECT_EQ(m.get<uint64_t>(kUpperHalves), kFilled);
}

TEST_F(NativeState, XsaveWantsAlignment) {
    m.cpu().gpr[x86::kRdi] = kArea + 32;
    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x27}), raised(Vector::gp));
}

TEST_F(NativeState, XrstorBringsBackBothFormats) {
    for (const int opcode : {0xAE, 0xC7}) {  // xsave64, xsavec64
        prepare();
        clear_header();
        m.set_xmm<uint64_t>(3, {8, 7, 6, 5});
        m.cpu().vectors.mxcsr = 0x1FA0;
        m.run_code({0xDB, 0xE3, 0xD9, 0xE8, 0x48, 0x0F, opcode, 0x27});
        m.set_xmm<uint64_t>(3, {0, 0, 0, 0});
        m.cpu().vectors.mxcsr = 0x1F80;
        m.x87().initialise();

        EXPECT_EQ(m.run_code({0x48, 0x0F, 0xAE, 0x2F}), std::nullopt);  // xrstor64 [rdi]

        EXPECT_EQ(m.xmm<uint64_t>(3, 3), 5U);
        EXPECT_EQ(m.xmm<uint64_t>(3, 0), 8U);
        EXPECT_EQ(m.cpu().vectors.mxcsr, 0x1FA0U);
        EXPECT_EQ(m.st(0), 1);
    }
}

TEST_F(NativeState, XrstorInitialisesWhatTheAreaLacks) {
    clear_header();
    m.put<uint32_t>(kArea + 24, 0x1FC0);
    m.set_xmm<uint64_t>(3, {8, 7, 6, 5});
    m.run_code({0xD9, 0xE8});
    m.cpu().gpr[x86::kRax] = 5;

    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x2F}), std::nullopt);

    EXPECT_EQ(m.xmm<uint64_t>(3, 0), 8U);  // SSE was not asked for
    EXPECT_EQ(m.xmm<uint64_t>(3, 3), 0U);
    EXPECT_EQ(m.x87().tags(), 0);
    EXPECT_EQ(m.cpu().vectors.mxcsr, 0x1FC0U);  // with AVX, from memory whatever XSTATE_BV says
}

TEST_F(NativeState, XrstorOfCompactedInitialSseResetsMxcsr) {
    clear_header();
    m.put<uint64_t>(kHeader + 8, uint64_t{1} << 63 | 7);
    m.cpu().vectors.mxcsr = 0x1FA0;

    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x2F}), std::nullopt);

    EXPECT_EQ(m.cpu().vectors.mxcsr, 0x1F80U);
}

class XrstorHeader : public NativeState,
                     public testing::WithParamInterface<std::array<uint64_t, 4>> {};

TEST_P(XrstorHeader, IsRefused) {
    clear_header();
    m.put<uint32_t>(kArea + 24, 0x1F80);
    for (unsigned i = 0; i < 4; ++i)
        m.put<uint64_t>(kHeader + i * 8, GetParam()[i]);

    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x2F}), raised(Vector::gp));
}

constexpr uint64_t kCompacted = uint64_t{1} << 63;
INSTANTIATE_TEST_SUITE_P(Bad, XrstorHeader,
                         testing::Values(std::array<uint64_t, 4>{8, 0, 0, 0},  // not in XCR0
                                         std::array<uint64_t, 4>{0, 1, 0,
                                                                 0},  // format without bit 63
                                         std::array<uint64_t, 4>{0, 0, 1, 0},  // reserved
                                         std::array<uint64_t, 4>{0, kCompacted | 8, 0, 0},
                                         std::array<uint64_t, 4>{4, kCompacted | 3, 0, 0},
                                         std::array<uint64_t, 4>{0, kCompacted | 7, 0, 1}));

TEST_F(NativeState, XrstorRefusesReservedMxcsrBits) {
    clear_header();
    m.put<uint32_t>(kArea + 24, 0x10000);
    EXPECT_EQ(m.run_code({0x0F, 0xAE, 0x2F}), raised(Vector::gp));
}

// --- register state ----------------------------------------------------------------------------

TEST_F(NativeState, RegisterStateCarriesVectors) {
    m.set_xmm<uint64_t>(9, {1, 2, 3, 4});
    m.cpu().vectors.mxcsr = 0x1FA0;
    m.run_code({0xD9, 0xE8});
    x86::RegisterState state;
    m.cpu().get_state(state);

    NativeMachine other;
    other.enter_vectors();
    other.cpu().set_state(state);

    EXPECT_EQ(other.xmm<uint64_t>(9, 3), 4U);
    EXPECT_EQ(other.cpu().vectors.mxcsr, 0x1FA0U);
    EXPECT_EQ(other.st(0), 1);
    EXPECT_EQ(other.x87().instruction_pointer(), M::kCode);
}

TEST_F(NativeState, HostileRegisterStateCannotHurtTheHost) {
    x86::RegisterState state;
    m.cpu().get_state(state);
    for (size_t i = 0; i < x86::kXsaveLegacySize; ++i)
        state.xsave[i] = std::byte{0xFF};

    m.cpu().set_state(state);

    EXPECT_EQ(m.cpu().vectors.mxcsr, 0xFFFFU);
    EXPECT_EQ(m.x87().control(), 0x1F7F);
    EXPECT_FALSE(m.x87().error_pending());
    EXPECT_EQ(m.run_code({0xD9, 0xE8}), std::nullopt);
}

TEST_F(NativeState, PowerOnControlWord) {
    m.cpu().reset(false);
    EXPECT_EQ(m.x87().control(), 0x40);
    EXPECT_EQ(m.cpu().vectors.mxcsr, 0x1F80U);
}

}  // namespace
}  // namespace banyan::interp
