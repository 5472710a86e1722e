// The JIT on a small machine: code that changes, links, the stack window, and what guests must not
// reach.
#include "cpu/jit/runtime.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <ostream>
#include <string>
#include <vector>

#include "cpu/jit/jit_testing.hpp"

namespace banyan::jit {
namespace {

using namespace asmjit::x86;
using asmjit::Label;

using M = JitMachine;
constexpr uint64_t kBeyond = M::kBeyond;
constexpr unsigned kTimes = 20;

// Calls `target` kTimes times from `at`, then goes to what is behind.
void call_often(Assembler& a, uint64_t target) {
    const Label loop = a.newLabel();
    a.mov(ecx, kTimes);
    a.bind(loop);
    a.call(target);
    a.dec(ecx);
    a.jnz(loop);
}

// A function that adds to RBX.
void add_and_return(Assembler& a, int what) {
    a.add(rbx, what);
    a.ret();
}

// --- single instructions

TEST(Counting, IsRightForStringsThatAreTakenInPieces) {
    M m;
    constexpr uint64_t kBytes = 50'000;
    m.code_at(kCode, [&](Assembler& a) {
        a.mov(edi, 0x40000);
        a.mov(ecx, kBytes);
        a.rep().stosb();
        a.hlt();
    });
    const uint64_t before = m.cpu().retired;
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRdi), 0x40000U + kBytes);
    EXPECT_EQ(m.cpu().retired - before, 4U);
}

TEST(Counting, LoopsByRcx) {
    M m;
    m.code_at(kCode, [&](Assembler& a) {
        const Label loop = a.newLabel();
        const Label none = a.newLabel();
        a.mov(ecx, 100);
        a.bind(loop);
        a.add(ebx, 1);
        a.loop(rcx, loop);
        a.jecxz(rcx, none);
        a.mov(ebx, 0);
        a.bind(none);
        a.hlt();
    });
    m.cpu().gpr[x86::kRbx] = 0;
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), 100U);
    EXPECT_EQ(m.gpr(x86::kRcx), 0U);
    EXPECT_EQ(m.statistics().interpreted, 1U);  // HLT
}

// --- code that changes

TEST(SelfModifyingCode, ChangesAFunctionOnTheSamePage) {
    M m;
    constexpr uint64_t kFunction = kCode + 0x800;
    m.code_at(kFunction, [](Assembler& a) {
        a.mov(eax, 0);
        a.ret();
    });
    m.code_at(kCode, [&](Assembler& a) {
        const Label loop = a.newLabel();
        a.xor_(ebx, ebx);
        a.mov(ecx, 100);
        a.bind(loop);
        a.mov(dword_ptr(kFunction + 1), ecx);
        a.call(kFunction);
        a.add(rbx, rax);
        a.dec(ecx);
        a.jnz(loop);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), 5050U);
    EXPECT_GE(m.statistics().dropped, 99U);
}

TEST(SelfModifyingCode, ChangesTheInstructionBehindIt) {
    M m;
    m.code_at(kCode, [&](Assembler& a) {
        const Label loop = a.newLabel();
        const Label changed = a.newLabel();
        a.xor_(ebx, ebx);
        a.mov(ecx, 100);
        a.bind(loop);
        a.lea(rsi, ptr(changed, 1));
        a.mov(dword_ptr(rsi), ecx);
        a.bind(changed);
        a.mov(eax, 0);
        a.add(rbx, rax);
        a.dec(ecx);
        a.jnz(loop);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), 5050U);
    EXPECT_GT(m.statistics().dropped, 0U);
}

TEST(SelfModifyingCode, SeesPushesIntoCode) {
    M m;
    constexpr uint64_t kFunction = kCode + 0x800;
    m.code_at(kFunction, [](Assembler& a) { add_and_return(a, 1); });
    std::vector<uint8_t> other = assemble(kFunction, [](Assembler& a) { add_and_return(a, 100); });
    other.resize(8);
    uint64_t bytes = 0;
    std::memcpy(&bytes, other.data(), 8);
    m.code_at(kCode, [&](Assembler& a) {
        a.xor_(ebx, ebx);
        call_often(a, kFunction);
        a.mov(rax, bytes);
        a.mov(rdx, rsp);
        a.mov(rsp, kFunction + 8);
        a.push(rax);
        a.mov(rsp, rdx);
        call_often(a, kFunction);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), kTimes * 101U);
}

// --- statistics

// The interpreter's count is the truth; REP gives up its time now and then, and is begun anew.
TEST(Statistics, EachInstructionCountsOnce) {
    const auto write = [](Assembler& a) {
        const Label loop = a.newLabel();
        a.mov(ebx, 50);
        a.bind(loop);
        a.mov(edi, kBeyond);
        a.mov(ecx, 5000);
        a.rep().stosb();
        a.cpuid();
        a.mov(ebx, ebx);
        a.mov(eax, dword_ptr(kBeyond + 0xFFE));
        a.dec(dword_ptr(kBeyond + 0x3000));
        a.jnz(loop);
        a.hlt();
    };
    const auto run = [&](auto& m) {
        for (uint64_t page = 0; page < 4; ++page)
            m.map(kBeyond + page * 0x1000, 0x20000 + page * 0x1000);
        m.cpu().flush_tlb();
        m.code_at(kCode, write);
        m.template put<uint32_t>(0x23000, 50);
        const uint64_t before = m.cpu().retired;
        m.run_from(kCode);
        return m.cpu().retired - before;
    };
    M jit;
    LongMachine interpreter(make_testing_cpu);

    EXPECT_EQ(run(jit), run(interpreter));
    EXPECT_GT(jit.statistics().interpreted, 50U);
}

TEST(Statistics, TellWhyCodeWasLeft) {
    M m;
    m.unmap(kBeyond);
    m.cpu().flush_tlb();
    m.code_at(kCode, [&](Assembler& a) {
        call_often(a, kCode + 0x1000);
        a.mov(rax, ptr(kBeyond));
        a.hlt();
    });
    m.code_at(kCode + 0x1000, [](Assembler& a) { add_and_return(a, 1); });
    m.run_from(kCode);

    const JitStatistics& s = m.statistics();
    EXPECT_EQ(s.exits_for_faults, 1U);
    EXPECT_GT(s.exits_for_links, 0U);
    EXPECT_EQ(s.entries, s.exits_for_events + s.exits_for_faults + s.exits_for_lookups +
                             s.exits_for_links + s.exits_for_stack + s.exits_to_interpret);
    EXPECT_GT(s.code_bytes, s.instructions);
    Statistics list;
    s.append_to(list);
    EXPECT_EQ(list.front().name, "translated_regions");
    EXPECT_EQ(list.front().value, s.regions);
}

TEST(Statistics, TranslationsAreTold) {
    struct Listener final : HostCodeListener {
        void on_host_code(const void* start, size_t size, std::string_view name) override {
            EXPECT_NE(start, nullptr);
            bytes += size;
            names.emplace_back(name);
        }
        size_t bytes = 0;
        std::vector<std::string> names;
    } listener;
    M m({.hot = 0}, &listener);
    m.code_at(kCode, [](Assembler& a) { a.hlt(); });
    m.run_from(kCode);

    ASSERT_EQ(listener.names.size(), 2U);
    EXPECT_EQ(listener.names[0], "banyan:stubs");
    EXPECT_EQ(listener.names[1], "guest:kernel:0x10000");
    EXPECT_GT(listener.bytes, m.statistics().code_bytes);
}

// --- links

class Links : public testing::TestWithParam<uint64_t> {
protected:
    M m;
};

// `target` is the parameter: on the page of the caller, or on another.
TEST_P(Links, EndWithTheirTarget) {
    const uint64_t target = GetParam();
    m.code_at(target, [](Assembler& a) { add_and_return(a, 1); });
    m.code_at(kCode, [&](Assembler& a) {
        call_often(a, target);
        a.hlt();
    });
    m.cpu().gpr[x86::kRbx] = 0;
    m.run_from(kCode);
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), 2 * kTimes);
    EXPECT_GT(m.statistics().links, 0U);
    const uint64_t entries = m.statistics().entries;
    m.run_from(kCode);
    EXPECT_LT(m.statistics().entries - entries, kTimes) << "no link was used";

    m.code_at(target, [](Assembler& a) { add_and_return(a, 100); });
    m.cpu().gpr[x86::kRbx] = 0;
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), kTimes * 100U);
}

INSTANTIATE_TEST_SUITE_P(Targets, Links, testing::Values(kCode + 0x800, kCode + 0x1800));

class Remapping : public testing::Test {
protected:
    static constexpr uint64_t kFirst = 0x50000;
    static constexpr uint64_t kSecond = 0x60000;
    static constexpr uint64_t kEntry = M::entry_of(kBeyond);

    Remapping() {
        m.map(kBeyond, kFirst);
        m.code_at(kBeyond, kFirst, [](Assembler& a) { add_and_return(a, 1); });
        m.code_at(kBeyond, kSecond, [](Assembler& a) { add_and_return(a, 100); });
    }

    static void remap(Assembler& a) { a.mov(qword_ptr(kEntry), int32_t{kSecond | M::kPresent}); }

    M m;
};

TEST_F(Remapping, IsSeenAfterInvlpg) {
    m.code_at(kCode, [&](Assembler& a) {
        a.xor_(ebx, ebx);
        call_often(a, kBeyond);
        remap(a);
        a.invlpg(ptr(kBeyond));
        call_often(a, kBeyond);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), kTimes * 101U);
}

// Both times the same code calls: its link is made before the change.
TEST_F(Remapping, IsSeenByALinkThatWasMade) {
    m.code_at(kCode, [&](Assembler& a) {
        const Label again = a.newLabel();
        a.xor_(ebx, ebx);
        a.mov(edx, 2);
        a.bind(again);
        call_often(a, kBeyond);
        remap(a);
        a.invlpg(ptr(kBeyond));
        a.dec(edx);
        a.jnz(again);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), kTimes * 101U);
    EXPECT_GT(m.statistics().links, 0U);
}

TEST_F(Remapping, IsSeenAfterALoadOfCr3) {
    m.code_at(kCode, [&](Assembler& a) {
        const Label again = a.newLabel();
        a.xor_(ebx, ebx);
        a.mov(edx, 2);
        a.bind(again);
        call_often(a, kBeyond);
        remap(a);
        a.mov(rax, cr3);
        a.mov(cr3, rax);
        a.dec(edx);
        a.jnz(again);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), kTimes * 101U);
}

// A link leads to a page that is not there any more.
TEST_F(Remapping, ToNothingFaults) {
    m.code_at(kCode, [&](Assembler& a) {
        const Label again = a.newLabel();
        a.bind(again);
        call_often(a, kBeyond);
        a.mov(qword_ptr(kEntry), 0);
        a.invlpg(ptr(kBeyond));
        a.jmp(again);
    });
    m.run_from(kCode);
    EXPECT_EQ(m.handler(), 14U);
    EXPECT_EQ(m.cpu().cr2, kBeyond);
    EXPECT_EQ(m.frame().rip, kBeyond);
    EXPECT_EQ(m.gpr(x86::kRcx), kTimes);
}

// Two page tables that mean different code at one address, thousands of times.
TEST(AddressSpaces, AreThousands) {
    M m;
    constexpr uint64_t kOther = 0x70000;  // PML4, PDPT, directory, table
    constexpr unsigned kSwitches = 5000;
    for (uint64_t at = 0; at < kPageSize; at += 8)
        m.put(kOther + 0x3000 + at, m.get<uint64_t>(M::kTable + at));
    for (uint64_t level = 0; level < 3; ++level)
        m.put<uint64_t>(kOther + level * 0x1000, (kOther + (level + 1) * 0x1000) | M::kPresent);
    m.map(kBeyond, 0x50000);
    m.put<uint64_t>(kOther + 0x3000 + (kBeyond >> kPageShift) * 8, 0x60000 | M::kPresent);
    m.code_at(kBeyond, 0x50000, [](Assembler& a) { add_and_return(a, 1); });
    m.code_at(kBeyond, 0x60000, [](Assembler& a) { add_and_return(a, 1000); });
    m.code_at(kCode, [&](Assembler& a) {
        const Label loop = a.newLabel();
        a.xor_(ebx, ebx);
        a.mov(edx, kSwitches);
        a.mov(rsi, M::kPageTables);
        a.mov(rdi, kOther);
        a.bind(loop);
        a.mov(cr3, rdi);
        a.call(kBeyond);
        a.mov(cr3, rsi);
        a.call(kBeyond);
        a.dec(edx);
        a.jnz(loop);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), kSwitches * 1001U);
    EXPECT_LT(m.statistics().regions, 100U) << "code is translated anew in each address space";
}

// --- the code cache

TEST(CodeSpace, IsClearedWhenItIsFull) {
    M m({.hot = 0, .code_size = 32U << 10});
    constexpr uint64_t kFunctions = 0x50000;
    constexpr unsigned kCount = 500;
    constexpr unsigned kSize = 64;
    for (unsigned i = 0; i < kCount; ++i) {
        m.code_at(kFunctions + i * kSize,
                  [&](Assembler& a) { add_and_return(a, static_cast<int>(i) + 1); });
    }
    m.code_at(kCode, [&](Assembler& a) {
        const Label round = a.newLabel();
        const Label loop = a.newLabel();
        a.xor_(ebx, ebx);
        a.mov(edx, 4);
        a.bind(round);
        a.mov(rsi, kFunctions);
        a.mov(ecx, kCount);
        a.bind(loop);
        a.call(rsi);
        a.add(rsi, kSize);
        a.dec(ecx);
        a.jnz(loop);
        a.dec(edx);
        a.jnz(round);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), 4U * kCount * (kCount + 1) / 2);
    EXPECT_GT(m.statistics().clears, 1U);
    EXPECT_GE(m.statistics().regions, kCount);
}

// --- the stack

class StackBorder : public testing::Test {
protected:
    // Linear neighbours that are none in memory.
    static constexpr uint64_t kBorder = kBeyond + kPageSize;
    static constexpr uint64_t kLower = 0x60000;
    static constexpr uint64_t kUpper = 0x50000;

    StackBorder() {
        m.map(kBeyond, kLower);
        m.map(kBorder, kUpper);
    }

    uint8_t byte_at(uint64_t linear) {
        return m.get<uint8_t>(linear < kBorder ? linear - kBeyond + kLower
                                               : linear - kBorder + kUpper);
    }
    uint64_t quad_at(uint64_t linear) {
        uint64_t value = 0;
        for (unsigned i = 0; i < 8; ++i)
            value |= uint64_t{byte_at(linear + i)} << (8 * i);
        return value;
    }

    M m;
};

TEST_F(StackBorder, PushesAndPopsCrossIt) {
    m.code_at(kCode, [&](Assembler& a) {
        a.mov(rsp, rdi);
        a.push(rax);
        a.push(rbx);
        a.mov(rdx, ptr(rsp, 4));
        a.pop(rcx);
        a.pop(rsi);
        a.hlt();
    });
    for (uint64_t rsp = kBorder - 2; rsp < kBorder + 24; ++rsp) {
        SCOPED_TRACE(rsp);
        auto& gpr = m.cpu().gpr;
        gpr[x86::kRax] = 0x1111222233330000 + rsp;
        gpr[x86::kRbx] = 0x5555666677770000 + rsp;
        gpr[x86::kRdi] = rsp;
        m.run_from(kCode);
        EXPECT_EQ(gpr[x86::kRsp], rsp);
        EXPECT_EQ(gpr[x86::kRsi], gpr[x86::kRax]);
        EXPECT_EQ(gpr[x86::kRcx], gpr[x86::kRbx]);
        EXPECT_EQ(gpr[x86::kRdx], gpr[x86::kRbx] >> 32 | gpr[x86::kRax] << 32);
        EXPECT_EQ(quad_at(rsp - 8), gpr[x86::kRax]);
        EXPECT_EQ(quad_at(rsp - 16), gpr[x86::kRbx]);
    }
    EXPECT_GT(m.statistics().regions, 0U);
}

TEST_F(StackBorder, CallsAndReturnsCrossIt) {
    constexpr uint64_t kFunction = kCode + 0x800;
    m.code_at(kFunction, [](Assembler& a) { add_and_return(a, 1); });
    m.code_at(kCode, [&](Assembler& a) {
        a.mov(rsp, rdi);
        call_often(a, kFunction);
        a.mov(rax, kFunction);
        a.call(rax);
        a.hlt();
    });
    m.cpu().gpr[x86::kRbx] = 0;
    unsigned rounds = 0;
    for (uint64_t rsp = kBorder - 2; rsp < kBorder + 10; ++rsp) {
        m.cpu().gpr[x86::kRdi] = rsp;
        m.run_from(kCode);
        EXPECT_EQ(m.gpr(x86::kRsp), rsp);
        ++rounds;
    }
    EXPECT_EQ(m.gpr(x86::kRbx), rounds * (kTimes + 1));
}

// A loop that walks down over it, so that the window moves.
TEST_F(StackBorder, LoopsWalkOverIt) {
    m.code_at(kCode, [&](Assembler& a) {
        const Label down = a.newLabel();
        const Label up = a.newLabel();
        a.mov(rsp, kBorder + 0x400);
        a.mov(ecx, 0x100);
        a.bind(down);
        a.push(rcx);
        a.dec(ecx);
        a.jnz(down);
        a.xor_(ebx, ebx);
        a.mov(ecx, 0x100);
        a.bind(up);
        a.pop(rax);
        a.add(rbx, rax);
        a.dec(ecx);
        a.jnz(up);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), 0x100U * 0x101 / 2);
    EXPECT_EQ(quad_at(kBorder + 0x400 - 8), 0x100U);
    EXPECT_EQ(quad_at(kBorder - 8), 0x80U);
    EXPECT_LT(m.statistics().entries, 20U);  // the window moves without leaving generated code
}

// A region whose stack lies on both pages has code without a window, which its check leads to.
TEST_F(StackBorder, IsCrossedWithoutLeavingGeneratedCode) {
    constexpr uint64_t kFunction = kCode + 0x800;
    m.code_at(kFunction, [](Assembler& a) { add_and_return(a, 1); });
    m.code_at(kCode, [&](Assembler& a) {
        const Label loop = a.newLabel();
        a.mov(rsp, kBorder + 8);
        a.mov(ecx, 0x100);
        a.bind(loop);
        a.push(rcx);
        a.call(kFunction);
        a.pop(rcx);
        a.dec(ecx);
        a.jnz(loop);
        a.hlt();
    });
    m.cpu().gpr[x86::kRbx] = 0;
    m.run_from(kCode);
    EXPECT_EQ(m.gpr(x86::kRbx), 0x100U);
    EXPECT_LT(m.statistics().entries, 20U);
}

TEST_F(StackBorder, FaultsOnThePageThatIsNotThere) {
    m.unmap(kBeyond);
    m.code_at(kCode, [&](Assembler& a) {
        a.mov(rsp, kBorder + 20);
        a.push(rax);
        a.push(rax);
        a.push(rax);
        a.hlt();
    });
    m.run_from(kCode);
    EXPECT_EQ(m.handler(), 14U);
    EXPECT_EQ(m.cpu().cr2, kBorder - 4);
    EXPECT_EQ(m.frame().rsp, kBorder + 4);
}

// --- what guests must not reach

// Memory but for the fault's stack, which changes.
std::vector<uint64_t> contents(M& m) {
    std::vector<uint64_t> all;
    for (uint64_t gpa = M::kData; gpa < M::kMemorySize; gpa += 8) {
        if (gpa < M::kFaultStack - 64 || gpa >= M::kFaultStack) all.push_back(m.get<uint64_t>(gpa));
    }
    return all;
}

struct Access {
    const char* name;
    void (*write)(Assembler& a);
    friend std::ostream& operator<<(std::ostream& out, const Access& a) { return out << a.name; }
};

class WildStack : public testing::TestWithParam<Access> {
protected:
    WildStack() {
        m.code_at(kCode, [&](Assembler& a) {
            a.push(rax);  // the window shows a page
            a.pop(rax);
            a.mov(rsp, rdi);
            a.nop();
            GetParam().write(a);
            a.hlt();
        });
    }

    M m;
};

TEST_P(WildStack, IsAStackFault) {
    constexpr uint64_t kBit = 1;
    for (unsigned bit = 47; bit < 63; ++bit) {
        const uint64_t low = M::kStack - 0x40;
        for (const uint64_t rsp : {low | kBit << bit, ~low ^ kBit << bit, low + (kBit << 63) + 3}) {
            SCOPED_TRACE(rsp);
            m.cpu().gpr[x86::kRsp] = M::kStack;
            m.cpu().gpr[x86::kRdi] = rsp;
            m.cpu().gpr[x86::kRsi] = kCode;
            m.cpu().gpr[x86::kRax] = 0xDEADBEEF;
            m.put<uint64_t>(M::kStack - 8, 0xDEADBEEF);  // as the code does at first
            const std::vector<uint64_t> before = contents(m);
            m.run_from(kCode);
            EXPECT_EQ(m.handler(), 12U);
            EXPECT_EQ(m.frame().error, 0U);
            EXPECT_EQ(m.frame().rsp, rsp);
            EXPECT_EQ(contents(m), before);
        }
    }
    EXPECT_GT(m.statistics().regions, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Accesses, WildStack,
    testing::Values(Access{"push", [](Assembler& a) { a.push(rax); }},
                    Access{"push_imm", [](Assembler& a) { a.push(5); }},
                    Access{"pop", [](Assembler& a) { a.pop(rbx); }},
                    Access{"store", [](Assembler& a) { a.mov(ptr(rsp, 8), rax); }},
                    Access{"load", [](Assembler& a) { a.mov(rbx, ptr(rsp, 8)); }},
                    Access{"add", [](Assembler& a) { a.add(dword_ptr(rsp), 1); }},
                    Access{"call", [](Assembler& a) { a.call(kCode + 0x800); }},
                    Access{"call_indirect", [](Assembler& a) { a.call(rsi); }},
                    Access{"ret", [](Assembler& a) { a.ret(); }}),
    [](const auto& param) { return std::string(param.param.name); });

// The window shows the page that RSP + 2^28 lies in when the far access comes: whoever cuts what is
// checked to 2^28 lets it reach beyond the guest.
TEST(WildStackOffset, IsNotCut) {
    constexpr uint64_t kCut = uint64_t{1} << 28;
    constexpr uint64_t kFar = 0x7FFFFE00;
    const Access accesses[] = {
        {"store", [](Assembler& a) { a.mov(ptr(rsp, kFar), rax); }},
        {"push",
         [](Assembler& a) {
             a.lea(rsp, ptr(rsp, kFar + 8));
             a.push(rax);
         }},
        {"push of a part",
         [](Assembler& a) {
             a.lea(rsp, ptr(rsp, kFar + 0x108));
             a.lea(rsp, ptr(rsp, -0x100));
             a.push(rax);
         }},
    };
    for (const Access& access : accesses) {
        SCOPED_TRACE(access.name);
        M m;
        constexpr uint64_t kMeasured = kCode + 0x800;
        m.code_at(kMeasured, access.write);
        m.code_at(kCode, [&](Assembler& a) {
            a.push(rax);
            a.lea(rsp, ptr(rsp, -static_cast<int32_t>(kCut)));
            a.jmp(kMeasured);
        });
        m.cpu().gpr[x86::kRsp] = M::kStack - 0x800;
        m.run_from(kCode);
        EXPECT_EQ(m.handler(), 14U);
        EXPECT_EQ(m.cpu().cr2, M::kStack - 0x808 - kCut + kFar);
    }
}

// --- addresses that are not canonical

class WildTarget : public testing::TestWithParam<Access> {
protected:
    static constexpr uint64_t kRsp = M::kStack - 0x100;
    static constexpr uint64_t kGood = kCode + 0x800;

    WildTarget() {
        m.code_at(kCode, [&](Assembler& a) {
            a.push(rax);  // so that the window shows the stack
            a.pop(rax);
            a.stc();  // must get to the handler
            branch_ = kCode + a.offset();
            GetParam().write(a);
        });
        m.code_at(kGood, [](Assembler& a) { a.hlt(); });
    }

    void branch_to(uint64_t target) {
        m.put<uint64_t>(kRsp, target);
        m.cpu().gpr[x86::kRsp] = kRsp;
        m.cpu().gpr[x86::kRdi] = target;
        m.cpu().set_rflags(x86::kFlagsFixed);
        m.run_from(kCode);
    }

    M m;
    uint64_t branch_ = 0;
};

TEST_P(WildTarget, FaultsAtTheBranch) {
    for (const uint64_t target : {uint64_t{1} << 47, kCode | uint64_t{1} << 63,
                                  kCode | uint64_t{0xFFFE} << 48, uint64_t{0xFFFF7FFFFFFFFFFF}}) {
        SCOPED_TRACE(target);
        // The first time is the interpreter's, which fills the TLB.
        for (unsigned i = 0; i < 3; ++i)
            branch_to(kGood);
        const uint64_t interpreted = m.statistics().interpreted;
        branch_to(target);
        // From generated code: the branch, and HLT in the handler.
        EXPECT_EQ(m.statistics().interpreted, interpreted + 2);
        EXPECT_EQ(m.handler(), 13U);
        EXPECT_EQ(m.frame().error, 0U);
        EXPECT_EQ(m.frame().rip, branch_);
        EXPECT_EQ(m.frame().rsp, kRsp);
        EXPECT_EQ(m.get<uint64_t>(M::kFaultStack - 24) & 1, 1U) << "CF";
    }
}

INSTANTIATE_TEST_SUITE_P(Branches, WildTarget,
                         testing::Values(Access{"ret", [](Assembler& a) { a.ret(); }},
                                         Access{"ret_imm", [](Assembler& a) { a.ret(16); }},
                                         Access{"jump", [](Assembler& a) { a.jmp(rdi); }},
                                         Access{"jump_memory",
                                                [](Assembler& a) { a.jmp(qword_ptr(rsp)); }},
                                         Access{"call", [](Assembler& a) { a.call(rdi); }}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace banyan::jit
