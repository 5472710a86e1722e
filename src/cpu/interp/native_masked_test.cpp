// Moves under a mask and gathers: elements that are left out never fault.
#include <gtest/gtest.h>

#include "cpu/interp/native_testing.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;
using x86::Vector;

constexpr uint32_t kOn = 0x80000000;

class NativeMasked : public testing::Test {
protected:
    NativeMasked() {
        m.enter_vectors();
        m.use_small_pages();
        m.unmap(NativeMachine::kMissing);
        m.cpu().gpr[x86::kRax] = NativeMachine::kMissing - 8;
        m.put_all<uint32_t>(NativeMachine::kMissing - 8, {11, 22});
    }

    NativeMachine m;
};

// --- VMASKMOV ----------------------------------------------------------------------------------

TEST_F(NativeMasked, LoadInPlainMemory) {
    m.cpu().gpr[x86::kRax] = M::kData;
    m.put_all<uint32_t>(M::kData, {1, 2, 3, 4, 5, 6, 7, 8});
    m.set_xmm<uint32_t>(2, {kOn, 0, kOn, 0, 0, 0, 0, kOn});

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x6D, 0x2C, 0x08}),
              std::nullopt);  // vmaskmovps ymm1, ymm2, [rax]

    EXPECT_EQ(m.xmm<uint32_t>(1, 0), 1U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 1), 0U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 7), 8U);
}

TEST_F(NativeMasked, LoadBesideAMissingPage) {
    m.set_xmm<uint32_t>(1, {9, 9, 9, 9, 9, 9, 9, 9});
    m.set_xmm<uint32_t>(2, {kOn, kOn, 0, 0});

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x69, 0x2C, 0x08}),
              std::nullopt);  // vmaskmovps xmm1, xmm2, [rax]

    EXPECT_EQ(m.xmm<uint32_t>(1, 1), 22U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 2), 0U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 4), 0U);
}

TEST_F(NativeMasked, LoadOfAMissingElementFaults) {
    m.set_xmm<uint32_t>(1, {9, 9, 9, 9});
    m.set_xmm<uint32_t>(2, {kOn, 0, 0, kOn});

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x69, 0x2C, 0x08}), raised(Vector::pf));

    EXPECT_EQ(m.cpu().cr2, NativeMachine::kMissing + 4);
    EXPECT_EQ(m.xmm<uint32_t>(1, 0), 9U);
}

TEST_F(NativeMasked, StoreWritesAllOrNothing) {
    m.set_xmm<uint64_t>(1, {0x1111, 0x2222});
    m.set_xmm<uint64_t>(2, {~uint64_t{0}, ~uint64_t{0}});
    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0xE9, 0x8E, 0x08}),
              raised(Vector::pf));  // vpmaskmovq [rax], xmm2, xmm1
    EXPECT_EQ(m.get<uint32_t>(NativeMachine::kMissing - 8), 11U);

    m.cpu().rip = M::kCode;
    m.set_xmm<uint64_t>(2, {~uint64_t{0}, 0});
    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0xE9, 0x8E, 0x08}), std::nullopt);
    EXPECT_EQ(m.get<uint64_t>(NativeMachine::kMissing - 8), 0x1111U);
}

TEST_F(NativeMasked, StoreInPlainMemoryKeepsTheRest) {
    m.cpu().gpr[x86::kRax] = M::kData;
    m.put_all<uint32_t>(M::kData, {1, 2, 3, 4});
    m.set_xmm<uint32_t>(1, {10, 20, 30, 40});
    m.set_xmm<uint32_t>(2, {0, kOn, 0, kOn});

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x69, 0x2E, 0x08}),
              std::nullopt);  // vmaskmovps [rax], xmm2, xmm1

    EXPECT_EQ(m.get<uint32_t>(M::kData), 1U);
    EXPECT_EQ(m.get<uint32_t>(M::kData + 4), 20U);
    EXPECT_EQ(m.get<uint32_t>(M::kData + 8), 3U);
    EXPECT_EQ(m.get<uint32_t>(M::kData + 12), 40U);
}

// --- MASKMOVDQU, MASKMOVQ ----------------------------------------------------------------------

TEST_F(NativeMasked, MaskmovdquWritesChosenBytes) {
    m.cpu().gpr[x86::kRdi] = M::kData + 3;
    m.set_xmm<uint64_t>(1, {0x8877665544332211, 0});
    m.set_xmm<uint64_t>(2, {0x8000000000008000, 0});

    EXPECT_EQ(m.run_code({0x66, 0x0F, 0xF7, 0xCA}), std::nullopt);

    EXPECT_EQ(m.get<uint64_t>(M::kData + 3), 0x8800000000002200U);
}

TEST_F(NativeMasked, MaskmovqReadsTheStackPlaces) {
    m.cpu().gpr[x86::kRdi] = M::kData;
    m.cpu().gpr[x86::kRax] = 0x8877665544332211;
    m.cpu().gpr[x86::kRcx] = 0x00FF;

    // movq mm1, rax; movq mm2, rcx; maskmovq mm1, mm2
    EXPECT_EQ(m.run_code({0x48, 0x0F, 0x6E, 0xC8, 0x48, 0x0F, 0x6E, 0xD1, 0x0F, 0xF7, 0xCA}),
              std::nullopt);

    EXPECT_EQ(m.get<uint64_t>(M::kData), 0x11U);
}

TEST_F(NativeMasked, MaskmovdquHonoursTheSegment) {
    m.enter_real();
    m.cpu().cr4 |= x86::kCr4OsFxsr;
    m.cpu().mode_changed();
    m.cpu().seg[x86::kEs].base = 0x8000;
    m.cpu().mode_changed();
    m.cpu().gpr[x86::kRdi] = 0xABC0010;  // only DI counts
    m.set_xmm<uint64_t>(1, {0x77, 0});
    m.set_xmm<uint64_t>(2, {0x80, 0});

    EXPECT_EQ(m.run_code({0x26, 0x66, 0x0F, 0xF7, 0xCA}), std::nullopt);

    EXPECT_EQ(m.get<uint8_t>(0x8010), 0x77);
}

// --- gathers -----------------------------------------------------------------------------------

TEST_F(NativeMasked, GatherTakesSignedScaledIndices) {
    m.cpu().gpr[x86::kRbx] = M::kData + 64;
    m.put_all<uint32_t>(M::kData + 56, {1, 2, 3, 4});
    m.set_xmm<int32_t>(3, {1, -1, -2, 0});
    m.set_xmm<uint32_t>(4, {kOn, kOn, kOn, 0x7FFFFFFF});
    m.set_xmm<uint32_t>(1, {9, 9, 9, 9, 9, 9, 9, 9});

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x59, 0x90, 0x0C, 0x9B}),
              std::nullopt);  // vpgatherdd xmm1, [rbx+xmm3*4], xmm4

    EXPECT_EQ(m.xmm<uint32_t>(1, 0), 4U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 1), 2U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 2), 1U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 3), 9U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 4), 0U);
    EXPECT_EQ(m.xmm<uint32_t>(4, 0), 0U);
    EXPECT_EQ(m.xmm<uint32_t>(4, 3), 0U);
}

TEST_F(NativeMasked, GatherRemembersWhereItStopped) {
    m.cpu().gpr[x86::kRbx] = NativeMachine::kMissing;
    m.set_xmm<int64_t>(3, {-8, 0});
    m.set_xmm<uint64_t>(4, {~uint64_t{0}, ~uint64_t{0}});
    m.set_xmm<uint64_t>(1, {9, 9});
    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0xD9, 0x91, 0x0C, 0x1B}),
              raised(Vector::pf));  // vpgatherqq xmm1, [rbx+xmm3], xmm4
    EXPECT_EQ(m.xmm<uint64_t>(1, 0), uint64_t{22} << 32 | 11);
    EXPECT_EQ(m.xmm<uint64_t>(1, 1), 9U);
    EXPECT_EQ(m.xmm<uint64_t>(4, 0), 0U);
    EXPECT_EQ(m.xmm<uint64_t>(4, 1), ~uint64_t{0});

    m.map(NativeMachine::kMissing);
    m.put<uint64_t>(NativeMachine::kMissing, 33);
    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0xD9, 0x91, 0x0C, 0x1B}), std::nullopt);
    EXPECT_EQ(m.xmm<uint64_t>(1, 1), 33U);
}

TEST_F(NativeMasked, GatherOfFewElementsClearsTheRest) {
    m.cpu().gpr[x86::kRbx] = M::kData;
    m.put_all<uint32_t>(M::kData, {1, 2});
    m.set_xmm<int64_t>(3, {0, 1});
    m.set_xmm<uint32_t>(4, {kOn, kOn, kOn, kOn});
    m.set_xmm<uint32_t>(1, {9, 9, 9, 9});

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x59, 0x91, 0x0C, 0x9B}),
              std::nullopt);  // vpgatherqd xmm1, [rbx+xmm3*4], xmm4

    EXPECT_EQ(m.xmm<uint32_t>(1, 1), 2U);
    EXPECT_EQ(m.xmm<uint32_t>(1, 2), 0U);
    EXPECT_EQ(m.xmm<uint32_t>(4, 3), 0U);
}

TEST_F(NativeMasked, GatherRefusesSharedRegisters) {
    m.cpu().gpr[x86::kRbx] = M::kData;
    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x59, 0x90, 0x0C, 0x8B}),
              raised(Vector::ud));  // xmm1 is index, too
    m.cpu().rip = M::kCode;
    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x71, 0x90, 0x0C, 0x9B}),
              raised(Vector::ud));  // ... mask, too
    m.cpu().rip = M::kCode;
    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x61, 0x90, 0x0C, 0x9B}), raised(Vector::ud));
}

}  // namespace
}  // namespace banyan::interp
