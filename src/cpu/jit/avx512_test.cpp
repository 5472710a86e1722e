// AVX-512's state between the Cpu and the host's registers.
#include <gtest/gtest.h>

#include "cpu/interp/native_wide.hpp"
#include "cpu/jit/jit_testing.hpp"

namespace banyan::jit {
namespace {

namespace x86a = asmjit::x86;
using M = JitMachine;

class Avx512 : public testing::Test {
protected:
    Avx512() {
        m.cpu().cr4 |= x86::kCr4OsFxsr | x86::kCr4OsXmmExcpt | x86::kCr4OsXsave;
        m.cpu().xcr0 = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx | x86::kXcr0Avx512;
        m.cpu().mode_changed();
        for (unsigned i = 0; i < 32; ++i)
            set(i, 1000 + i);
    }
    void SetUp() override {
        if (!m.cpu().model.has(interp::Feature::avx512f)) GTEST_SKIP() << "the host has none";
    }

    void set(unsigned reg, uint64_t value) {
        interp::WideVector vector;
        for (size_t at = 0; at < vector.size(); at += 8)
            std::memcpy(&vector[at], &value, sizeof(value));
        interp::put_vector(m.cpu(), reg, vector);
    }
    uint64_t get(unsigned reg, unsigned element) {
        uint64_t value;
        std::memcpy(&value, &interp::get_vector(m.cpu(), reg)[element * 8], sizeof(value));
        return value;
    }
    void run(const std::function<void(x86a::Assembler&)>& write) {
        m.code_at(M::kCode, [&](x86a::Assembler& a) {
            write(a);
            a.hlt();
        });
        m.run_from(M::kCode);
    }

    JitMachine m;
};

TEST_F(Avx512, RunsOnTheHost) {
    run([](x86a::Assembler& a) {
        a.mov(x86a::eax, 3);
        a.kmovq(x86a::k5, x86a::rax);
        a.vpaddq(x86a::zmm31, x86a::zmm1, x86a::zmm30);
        a.k(x86a::k5).vpaddq(x86a::zmm7, x86a::zmm1, x86a::zmm30);
        a.kortestq(x86a::k5, x86a::k5);
        a.setnz(x86a::bl);
    });

    EXPECT_EQ(m.statistics().interpreted, 1U);  // HLT
    EXPECT_EQ(get(31, 0), 2031U);
    EXPECT_EQ(get(31, 7), 2031U);
    EXPECT_EQ(get(7, 1), 2031U);
    EXPECT_EQ(get(7, 2), 1007U);
    EXPECT_EQ(m.cpu().avx512.k[5], 3U);
    EXPECT_EQ(m.gpr(x86::kRbx) & 0xFF, 1U);
    EXPECT_EQ(get(20, 7), 1020U);
}

TEST_F(Avx512, ShortVectorsClearTheRestWhereItIsInUse) {
    run([](x86a::Assembler& a) { a.vpaddq(x86a::ymm7, x86a::ymm1, x86a::ymm2); });

    EXPECT_EQ(get(7, 3), 2003U);
    EXPECT_EQ(get(7, 4), 0U);
    EXPECT_EQ(get(8, 7), 1008U);
    EXPECT_EQ(m.cpu().avx512.zmm_high_in_use, 1);
}

TEST_F(Avx512, FindsOutThatNothingIsInUseAnyMore) {
    run([](x86a::Assembler& a) { a.vzeroupper(); });

    EXPECT_EQ(get(8, 1), 1008U);
    EXPECT_EQ(get(8, 2), 0U);
    EXPECT_EQ(get(8, 7), 0U);
    EXPECT_EQ(get(16, 7), 1016U);
    EXPECT_EQ(m.cpu().avx512.zmm_high_in_use, 0);
}

// A gather is interpreted: the state goes to the Cpu and comes back, all of it.
TEST_F(Avx512, SurvivesTheInterpreter) {
    m.put<uint64_t>(M::kData, 77);
    set(3, 0);
    run([](x86a::Assembler& a) {
        a.mov(x86a::edi, static_cast<uint32_t>(M::kData));
        a.vpaddq(x86a::ymm4, x86a::ymm1, x86a::ymm2);
        a.kxnorb(x86a::k1, x86a::k1, x86a::k1);
        a.k(x86a::k1).vpgatherqq(x86a::zmm19, x86a::ptr(x86a::rdi, x86a::zmm3));
        a.vpaddq(x86a::zmm20, x86a::zmm19, x86a::zmm1);
    });

    EXPECT_EQ(get(20, 7), 1078U);
    EXPECT_EQ(get(4, 3), 2003U);
    EXPECT_EQ(get(4, 4), 0U);
    EXPECT_EQ(m.cpu().avx512.k[1], 0U);
}

TEST_F(Avx512, MaskedOperandMayReachAMissingPage) {
    m.unmap(M::kData + 4096);
    m.cpu().flush_tlb();
    m.put<uint64_t>(M::kData + 4096 - 8, 77);
    run([](x86a::Assembler& a) {
        a.mov(x86a::eax, 1);
        a.kmovq(x86a::k1, x86a::rax);
        a.mov(x86a::edi, static_cast<uint32_t>(M::kData + 4096 - 8));
        a.k(x86a::k1).vpaddq(x86a::zmm7, x86a::zmm1, x86a::ptr_512(x86a::rdi));
    });

    EXPECT_EQ(get(7, 0), 1078U);
    EXPECT_EQ(get(7, 1), 1007U);
}

}  // namespace
}  // namespace banyan::jit
