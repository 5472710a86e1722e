// Accesses of one base: found in a block, and run where they lie on one page, on two, and on one
// that is not there.
#include "cpu/jit/access_groups.hpp"

#include <gtest/gtest.h>

#include "cpu/jit/jit_testing.hpp"

namespace banyan::jit {
namespace {

using namespace asmjit::x86;
using asmjit::Label;

using M = JitMachine;
constexpr uint64_t kPage = 0x60000;

class AccessGroups : public ::testing::Test {
protected:
    // Reads three words at RSI, writes one, in a loop.
    void write_code() {
        m.code_at(kCode, [](Assembler& a) {
            const Label loop = a.newLabel();
            a.mov(ecx, 200);
            a.bind(loop);
            a.mov(rax, ptr(rsi));
            a.add(rax, ptr(rsi, 16));
            a.add(rax, ptr(rsi, 8));
            a.mov(ptr(rsi, 24), rax);
            a.dec(ecx);
            a.jnz(loop);
            a.hlt();
        });
    }
    void run_at(uint64_t base) {
        for (uint64_t i = 0; i < 3; ++i)
            m.put<uint64_t>(base + i * 8, 100 + i);
        m.cpu().gpr[x86::kRsi] = base;
        m.run_from(kCode);
        EXPECT_EQ(m.gpr(x86::kRax), 303U);
        EXPECT_EQ(m.get<uint64_t>(base + 24), 303U);
    }

    M m;
};

TEST_F(AccessGroups, LieOnOnePage) {
    write_code();
    run_at(kPage);
    EXPECT_LT(m.statistics().interpreted, 10U);
}

TEST_F(AccessGroups, LieOnTwoPages) {
    write_code();
    for (uint64_t before = 1; before < 32; ++before) {
        SCOPED_TRACE(before);
        run_at(kPage + 0x1000 - before);
    }
}

// After 64 failures each access is checked by itself.
TEST_F(AccessGroups, AreGivenUpWhereTheyLieOnTwoPages) {
    write_code();
    const uint64_t regions = m.statistics().regions;
    run_at(kPage + 0x1000 - 16);
    EXPECT_GT(m.statistics().regions, regions + 1);
}

// The accesses before the one that faults are done, those behind it are not.
TEST_F(AccessGroups, FaultInTheMidst) {
    constexpr uint64_t kMissing = kPage + 0x1000;
    write_code();
    run_at(kPage);
    m.code_at(kCode, [](Assembler& a) {
        a.mov(qword_ptr(rsi), 1);
        a.mov(qword_ptr(rsi, 8), 2);
        a.mov(qword_ptr(rsi, 16), 3);
        a.hlt();
    });
    m.unmap(kMissing);
    m.cpu().flush_tlb();
    m.cpu().gpr[x86::kRsi] = kMissing - 8;
    m.run_from(kCode);
    EXPECT_EQ(m.get<uint64_t>(kMissing - 8), 1U);
    EXPECT_EQ(m.cpu().cr2, kMissing);
    EXPECT_EQ(m.frame().error, 2U);        // a write to a page that is not there
    EXPECT_EQ(m.frame().rip - kCode, 7U);  // the second instruction
    EXPECT_EQ(m.get<uint64_t>(kMissing + 8), 0U);
}

TEST_F(AccessGroups, KeepAlignmentChecks) {
    m.code_at(kCode, [](Assembler& a) {
        a.movaps(xmm0, ptr(rsi));
        a.movaps(xmm1, ptr(rsi, 16));
        a.mov(eax, 7);
        a.hlt();
    });
    m.cpu().gpr[x86::kRsi] = kPage;
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRax), 7U);
    m.cpu().gpr[x86::kRsi] = kPage + 8;
    m.run_from(kCode);
    EXPECT_EQ(m.frame().rip, kCode);
}

// The base of a group changes in a block whose own accesses were given up.
TEST(AccessGroupsOfWarmCode, EndWhereTheBaseChangesInAScatteredBlock) {
    M m({.hot = 32});
    m.code_at(kCode, [](Assembler& a) {
        const Label loop = a.newLabel();
        const Label skip = a.newLabel();
        const Label out = a.newLabel();
        a.bind(loop);
        a.mov(rbx, rdi);
        a.mov(qword_ptr(rbx), 1);
        a.test(ecx, ecx);
        a.js(out);
        a.mov(rax, ptr(rsi));
        a.add(rax, ptr(rsi, 8));
        a.mov(rbx, rdx);
        a.test(r13d, r13d);
        a.jnz(skip);
        a.mov(ptr(rbx), rax);
        a.bind(skip);
        a.dec(ecx);
        a.jnz(loop);
        a.bind(out);
        a.hlt();
    });
    constexpr uint64_t kFirst = kPage + 0x100;
    constexpr uint64_t kSecond = kPage + 0x200;
    const auto run = [&](uint64_t rounds, uint64_t source, bool skip) {
        m.put<uint64_t>(source, 100);
        m.put<uint64_t>(source + 8, 101);
        m.cpu().gpr[x86::kRcx] = rounds;
        m.cpu().gpr[x86::kRsi] = source;
        m.cpu().gpr[x86::kRdi] = kFirst;
        m.cpu().gpr[x86::kRdx] = kSecond;
        m.cpu().gpr[x86::kR13] = skip ? 1 : 0;
        m.run_from(kCode);
    };
    run(10, kPage, false);  // warm enough to be in a region, too cold to begin one
    run(200, kPage + 0x1000 - 8, true);
    run(1, kPage, false);
    EXPECT_EQ(m.get<uint64_t>(kFirst), 1U);
    EXPECT_EQ(m.get<uint64_t>(kSecond), 201U);
}

}  // namespace
}  // namespace banyan::jit
