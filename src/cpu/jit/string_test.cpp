// Strings of elements and bits in generated code: what they do is what the interpreter does.
#include <gtest/gtest.h>
#include <ostream>
#include <string>
#include <vector>

#include "cpu/jit/jit_testing.hpp"

namespace banyan::jit {
namespace {

using namespace asmjit::x86;
using asmjit::Label;

constexpr uint64_t kData = LongMachine::kData;
constexpr uint64_t kPages = 3;
constexpr unsigned kRounds = 10;

struct StringCase {
    const char* name;
    bool native;  // needs no interpreter, once the TLB knows the pages
    void (*write)(Assembler& a);
    friend std::ostream& operator<<(std::ostream& out, const StringCase& c) {
        return out << c.name;
    }
};

class Strings : public testing::TestWithParam<StringCase> {
protected:
    template <class Machine>
    static void run(Machine& m) {
        for (uint64_t at = 0; at < kPages * kPageSize; at += 8)
            m.template put<uint64_t>(kData + at, at * 0x9E3779B97F4A7C15);
        // The first round fills the TLB.
        m.code_at(LongMachine::kCode, [](Assembler& a) {
            const Label loop = a.newLabel();
            a.mov(rbp, kRounds);
            a.bind(loop);
            a.stc();
            GetParam().write(a);
            a.adc(rbx, rdi);
            a.add(rbx, rsi);
            a.add(rbx, rcx);
            a.cld();
            a.dec(rbp);
            a.jnz(loop);
            a.hlt();
        });
        m.cpu().gpr[x86::kRbx] = 0;
        m.run_from(LongMachine::kCode);
    }
    template <class Machine>
    static std::vector<uint64_t> result(Machine& m) {
        std::vector<uint64_t> all(m.cpu().gpr.begin(), m.cpu().gpr.end());
        for (uint64_t at = 0; at < kPages * kPageSize; at += 8)
            all.push_back(m.template get<uint64_t>(kData + at));
        return all;
    }
};

TEST_P(Strings, AreThoseOfTheInterpreter) {
    Interpreted interpreted;
    JitMachine translated;
    run(interpreted);
    run(translated);
    EXPECT_EQ(result(translated), result(interpreted));
    run(interpreted);
    const uint64_t before = translated.statistics().interpreted;
    run(translated);
    EXPECT_EQ(result(translated), result(interpreted));
    const uint64_t calls = translated.statistics().interpreted - before;
    EXPECT_EQ(calls < kRounds, GetParam().native) << calls;
}

// From, to and how many.
void load(Assembler& a, uint64_t from, uint64_t to, uint64_t count) {
    a.mov(rsi, kData + from);
    a.mov(rdi, kData + to);
    a.mov(rcx, count);
    a.mov(rax, 0x1122334455667788);
}

const StringCase kStringCases[] = {
    {"stosb", true,
     [](Assembler& a) {
         load(a, 0, 5, 100);
         a.rep().stosb();
     }},
    {"stosw", true,
     [](Assembler& a) {
         load(a, 0, 5, 100);
         a.rep().stosw();
     }},
    {"stosd", true,
     [](Assembler& a) {
         load(a, 0, 5, 100);
         a.rep().stosd();
     }},
    {"stosq_of_a_page", true,
     [](Assembler& a) {
         load(a, 0, 0x1000, 512);
         a.rep().stosq();
     }},
    {"stosq_over_a_border", false,
     [](Assembler& a) {
         load(a, 0, 0xFFC, 3);
         a.rep().stosq();
     }},
    {"none_of_a_page_that_nobody_has_touched", false,
     [](Assembler& a) {
         load(a, 0, 0x10, 0);
         a.rep().movsq();
     }},
    {"movsb", true,
     [](Assembler& a) {
         load(a, 3, 0x1801, 1000);
         a.rep().movsb();
     }},
    {"movsw", true,
     [](Assembler& a) {
         load(a, 3, 0x1801, 1000);
         a.rep().movsw();
     }},
    {"movsd", true,
     [](Assembler& a) {
         load(a, 3, 0x1801, 500);
         a.rep().movsd();
     }},
    {"movsq_of_a_page", true,
     [](Assembler& a) {
         load(a, 0, 0x1000, 512);
         a.rep().movsq();
     }},
    {"movsb_that_repeats_a_pattern", true,
     [](Assembler& a) {
         load(a, 0x10, 0x13, 100);
         a.rep().movsb();
     }},
    {"movsq_onto_its_source", true,
     [](Assembler& a) {
         load(a, 0x13, 0x10, 100);
         a.rep().movsq();
     }},
    {"movsb_over_a_border", false,
     [](Assembler& a) {
         load(a, 0xF80, 0x1000, 200);
         a.rep().movsb();
     }},
    {"downwards", false,
     [](Assembler& a) {
         load(a, 0x100, 0x200, 10);
         a.std();
         a.rep().movsq();
     }},
    {"bit_test_and_set", true,
     [](Assembler& a) {
         a.mov(rsi, kData + 0x100);
         a.mov(rdi, -129);
         a.lock().bts(qword_ptr(rsi), rdi);
         a.adc(rbx, 0);
         a.mov(r9d, -33);
         a.btc(dword_ptr(rsi, 4), r9d);
         a.adc(rbx, 0);
         a.mov(rcx, 0x1234);
         a.btr(qword_ptr(rsi, rcx, 1, -0x1000), rcx);
         a.adc(rbx, 0);
         a.bt(ptr(rsi, 0, 4), ecx);
     }},
    {"bit_test_of_rsp", true,
     [](Assembler& a) {
         a.mov(rsi, kData);
         a.btc(qword_ptr(rsi, -0x8000), rsp);
         a.mov(r10, 70);
         a.btc(qword_ptr(rsp, -0x40), r10);
     }},
    {"bit_test_over_a_border", false,
     [](Assembler& a) {
         a.mov(rsi, kData + 0xFFC);
         a.mov(rdi, 3);
         a.btc(qword_ptr(rsi), rdi);
     }},
    {"cmpxchg16b", true,
     [](Assembler& a) {
         const uint64_t at = kData + 0x40;
         a.mov(rdi, rbx);
         a.mov(r9, at);
         a.mov(rax, ptr(at));
         a.mov(rdx, ptr(at + 8));
         a.mov(rbx, 1);
         a.lea(rcx, ptr(rax, 1));
         a.lock().cmpxchg16b(ptr(r9));
         a.setz(sil);
         a.lock().cmpxchg16b(ptr(r9));
         a.add(rdi, rax);
         a.add(rdi, rdx);
         a.mov(rbx, rdi);
     }},
};

INSTANTIATE_TEST_SUITE_P(Cases, Strings, testing::ValuesIn(kStringCases),
                         [](const auto& param) { return std::string(param.param.name); });

// A misaligned operand is a fault, and nothing is written.
TEST(CompareExchange16, FaultsWhenItIsMisaligned) {
    JitMachine m;
    m.code_at(LongMachine::kCode, [](Assembler& a) {
        a.mov(rsi, kData);
        a.mov(rax, ptr(rsi));
        a.mov(ptr(rsi), rax);
        a.lock().cmpxchg16b(ptr(rsi, 8));
    });
    m.run_from(LongMachine::kCode);
    EXPECT_EQ(m.handler(), 13U);
}

}  // namespace
}  // namespace banyan::jit
