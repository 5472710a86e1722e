// Extensions on general registers: POPCNT, LZCNT, BMI, ADX, CRC32.
#include <gtest/gtest.h>

#include "cpu/interp/native_testing.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;
using x86::Vector;

class NativeGeneral : public testing::Test {
protected:
    NativeGeneral() { m.enter_vectors(); }
    uint64_t& reg(unsigned r) { return m.cpu().gpr[r]; }
    uint32_t flags() { return to_eflags(m.cpu().arith); }

    NativeMachine m;
};

TEST_F(NativeGeneral, NarrowResultsKeepTheRestOfTheRegister) {
    reg(x86::kRax) = 0x1122334455667788;
    reg(x86::kRcx) = 0xF0FF;

    m.run_code({0x66, 0xF3, 0x0F, 0xB8, 0xC1});  // popcnt ax, cx

    EXPECT_EQ(reg(x86::kRax), 0x112233445566000CU);
}

TEST_F(NativeGeneral, WideResultsClearTheRest) {
    reg(x86::kRax) = ~uint64_t{0};
    reg(x86::kR9) = 0x10;

    m.run_code({0xF3, 0x41, 0x0F, 0xBD, 0xC1});  // lzcnt eax, r9d

    EXPECT_EQ(reg(x86::kRax), 27U);
    EXPECT_EQ(flags() & (x86::kCf | x86::kZf), 0U);
}

TEST_F(NativeGeneral, CountOfNothingSetsCarry) {
    reg(x86::kRcx) = 0;

    m.run_code({0xF3, 0x48, 0x0F, 0xBC, 0xC1});  // tzcnt rax, rcx

    EXPECT_EQ(reg(x86::kRax), 64U);
    EXPECT_NE(flags() & x86::kCf, 0U);
}

TEST_F(NativeGeneral, SixteenBitCodeCountsSixteenBits) {
    m.enter_real();
    reg(x86::kRax) = 0xAAAA0000;
    reg(x86::kRcx) = 0xFFFF0003;

    EXPECT_EQ(m.run_code({0xF3, 0x0F, 0xB8, 0xC1}), std::nullopt);
    EXPECT_EQ(reg(x86::kRax), 0xAAAA0002U);
    EXPECT_EQ(m.run_code({0x66, 0xF3, 0x0F, 0xB8, 0xC1}), std::nullopt);
    EXPECT_EQ(reg(x86::kRax), 18U);
}

TEST_F(NativeGeneral, VexIsUndefinedInRealMode) {
    m.enter_real();
    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0x70, 0xF2, 0xC2}),
              raised(Vector::ud));  // andn eax, ecx, edx
}

TEST_F(NativeGeneral, VexWIsIgnoredIn32BitCode) {
    m.enter_protected();
    reg(x86::kRcx) = 0xF0;
    reg(x86::kRdx) = 0xFF;

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0xF0, 0xF2, 0xC2}),
              std::nullopt);  // andn eax, ecx, edx with W

    EXPECT_EQ(static_cast<uint32_t>(reg(x86::kRax)), 0x0FU);
}

TEST_F(NativeGeneral, BmiFromMemory) {
    reg(x86::kRbx) = M::kData;
    m.put<uint64_t>(M::kData, 0x123456789ABCDEF0);
    reg(x86::kRcx) = 0x1008;  // 16 bits from bit 8

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0xF0, 0xF7, 0x03}), std::nullopt);  // bextr rax, [rbx], rcx

    EXPECT_EQ(reg(x86::kRax), 0xBCDEU);
}

TEST_F(NativeGeneral, MulxReadsRdxAndKeepsFlags) {
    m.cpu().arith = from_eflags(x86::kArithmeticFlags);
    reg(x86::kRdx) = uint64_t{1} << 63;
    reg(x86::kRcx) = 6;

    EXPECT_EQ(m.run_code({0xC4, 0xE2, 0xE3, 0xF6, 0xC1}), std::nullopt);  // mulx rax, rbx, rcx

    EXPECT_EQ(reg(x86::kRax), 3U);
    EXPECT_EQ(reg(x86::kRbx), 0U);
    EXPECT_EQ(flags(), x86::kArithmeticFlags);
}

TEST_F(NativeGeneral, MulxIntoOneRegisterLeavesTheHighHalf) {
    reg(x86::kRdx) = uint64_t{1} << 63;
    reg(x86::kRcx) = 7;

    m.run_code({0xC4, 0xE2, 0xFB, 0xF6, 0xC1});  // mulx rax, rax, rcx

    EXPECT_EQ(reg(x86::kRax), 3U);
}

TEST_F(NativeGeneral, AdxHasTwoCarries) {
    m.cpu().arith = from_eflags(x86::kCf | x86::kZf);
    reg(x86::kRax) = ~uint64_t{0};
    reg(x86::kRcx) = 0;

    m.run_code({0x66, 0x48, 0x0F, 0x38, 0xF6, 0xC1});  // adcx rax, rcx
    EXPECT_EQ(reg(x86::kRax), 0U);
    EXPECT_EQ(flags(), x86::kCf | x86::kZf);

    reg(x86::kRax) = ~uint64_t{0};
    reg(x86::kRcx) = 1;
    m.run_code({0xF3, 0x48, 0x0F, 0x38, 0xF6, 0xC1});  // adox rax, rcx
    EXPECT_EQ(reg(x86::kRax), 0U);
    EXPECT_EQ(flags(), x86::kOf | x86::kCf | x86::kZf);
}

TEST_F(NativeGeneral, Crc32OfAHighByte) {
    reg(x86::kRax) = 0x6100;  // AH = 'a'
    reg(x86::kRcx) = 0xFFFFFFFF;
    m.run_code({0xF2, 0x0F, 0x38, 0xF0, 0xCC});  // crc32 ecx, ah
    const uint64_t by_high_byte = reg(x86::kRcx);

    reg(x86::kR9) = 0x61;
    reg(x86::kRcx) = 0xFFFFFFFF;
    m.run_code({0xF2, 0x41, 0x0F, 0x38, 0xF0, 0xC9});  // crc32 ecx, r9b

    EXPECT_EQ(by_high_byte ^ 0xFFFFFFFF, 0xC1D04330U);  // CRC-32C of "a"
    EXPECT_EQ(reg(x86::kRcx), by_high_byte);
}

TEST_F(NativeGeneral, PauseWithRexExchanges) {
    reg(x86::kRax) = 1;
    reg(x86::kR8) = 2;

    m.run_code({0xF3, 0x49, 0x90});

    EXPECT_EQ(reg(x86::kRax), 2U);
    EXPECT_EQ(reg(x86::kR8), 1U);
}

// --- older models ------------------------------------------------------------------------------

// Decodes for the baseline model and runs the one instruction.
class Baseline : public NativeGeneral {
protected:
    Baseline() : model_(*CpuModel::create("x86-64", 1, 1'000'000'000)) {}

    // False: not an instruction of this model.
    bool run(std::initializer_list<uint8_t> bytes) {
        std::array<uint8_t, 15> padded{};
        std::copy(bytes.begin(), bytes.end(), padded.begin());
        std::array<Op, 2> ops{};
        decode(padded.data(), padded.size(), M::kCode, m.cpu().mode, model_, arena_, ops[0]);
        ops[1].handler = [](Cpu&, const Op*) {};
        ops[0].handler(m.cpu(), ops.data());
        const bool undefined = m.cpu().fault.active && m.cpu().fault.vector == Vector::ud;
        m.cpu().fault = {};
        return !undefined;
    }

    CpuModel model_;
    Arena arena_;
};

TEST_F(Baseline, LacksNewerInstructions) {
    EXPECT_TRUE(run({0x66, 0x0F, 0xFE, 0xCA}));            // paddd: SSE2
    EXPECT_FALSE(run({0x66, 0x0F, 0x38, 0x00, 0xCA}));     // pshufb: SSSE3
    EXPECT_FALSE(run({0x66, 0x0F, 0x3A, 0x0C, 0xCA, 1}));  // blendps: SSE4.1
    EXPECT_FALSE(run({0xF2, 0x0F, 0x38, 0xF1, 0xC1}));     // crc32: SSE4.2
    EXPECT_FALSE(run({0xF3, 0x0F, 0xB8, 0xC1}));           // popcnt
    EXPECT_FALSE(run({0x66, 0x0F, 0x38, 0xDC, 0xCA}));     // aesenc
    EXPECT_FALSE(run({0xC5, 0xF0, 0x58, 0xCA}));           // vaddps: AVX
    EXPECT_FALSE(run({0xC4, 0xE2, 0x70, 0xF2, 0xC2}));     // andn: BMI1
    EXPECT_FALSE(run({0x0F, 0xAE, 0x20}));                 // xsave
    EXPECT_FALSE(run({0x0F, 0x38, 0xC8, 0xCA}));           // sha1nexte
}

TEST_F(Baseline, ScansWhereNewerModelsCount) {
    reg(x86::kRcx) = 0x10;
    reg(x86::kRax) = 77;
    EXPECT_TRUE(run({0xF3, 0x0F, 0xBD, 0xC1}));  // bsr eax, ecx
    EXPECT_EQ(reg(x86::kRax), 4U);

    reg(x86::kRcx) = 0;
    reg(x86::kRax) = 77;
    EXPECT_TRUE(run({0xF3, 0x48, 0x0F, 0xBC, 0xC1}));  // bsf rax, rcx
    EXPECT_EQ(reg(x86::kRax), 77U);
    EXPECT_NE(flags() & x86::kZf, 0U);
}

}  // namespace
}  // namespace banyan::interp
