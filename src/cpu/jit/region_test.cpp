// Regions that the builder makes of code in guest memory.
#include "cpu/jit/region.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <initializer_list>

#include "cpu/jit/jit_testing.hpp"

namespace banyan::jit {
namespace {

using namespace asmjit::x86;
using asmjit::Label;

constexpr uint32_t kCf = 0x1;
constexpr uint32_t kZf = 0x40;

class Regions : public testing::Test {
protected:
    static constexpr uint64_t kCode = LongMachine::kCode;

    Regions() : machine_(make_testing_cpu) {}

    JitCpu& cpu() { return static_cast<JitCpu&>(machine_.cpu()); }

    // Decodes what is at `rip`, as if it had run before.
    interp::Block& ran(uint64_t rip) {
        cpu().rip = rip;
        interp::Block* block = cpu().code->lookup();
        BANYAN_ASSERT(block != nullptr);
        block->heat = 1;
        return *block;
    }
    // The region of the code at kCode; the blocks at `others` have run as well.
    const Region& build(std::initializer_list<uint64_t> others = {}) {
        for (const uint64_t rip : others)
            ran(rip);
        RegionBuilder(cpu(), {.hot = 0}).build(ran(kCode), true, region_);
        return region_;
    }
    // Writes code to kCode.
    void code(const std::function<void(Assembler&)>& write) { machine_.code_at(kCode, write); }

    // The instruction `number` of the block `index`.
    const Instruction& at(size_t index, size_t number) const {
        return region_.of(region_.blocks[index])[number];
    }

    LongMachine machine_;
    Region region_;
};

// --- shape

class Loops : public Regions {
protected:
    Loops() {
        code([&](Assembler& a) {
            const Label loop = a.newLabel();
            a.mov(ecx, 10);
            a.bind(loop);
            loop_ = kCode + a.offset();
            a.add(rax, rbx);
            a.dec(ecx);
            a.jnz(loop);
            behind_ = kCode + a.offset();
            a.hlt();
        });
    }

    uint64_t loop_ = 0;
    uint64_t behind_ = 0;
};

TEST_F(Loops, AreOneRegionWithWhatFollows) {
    const Region& region = build({loop_, behind_});
    ASSERT_EQ(region.blocks.size(), 3U);
    const BasicBlock& entry = region.blocks[0];
    EXPECT_EQ(entry.rip(), kCode);
    EXPECT_EQ(entry.count, 4U);
    EXPECT_FALSE(entry.loop_head);
    ASSERT_TRUE(entry.next && entry.next->block && entry.taken && entry.taken->block);
    const BasicBlock& behind = region.blocks[*entry.next->block];
    EXPECT_EQ(behind.rip(), behind_);
    EXPECT_EQ(*entry.next->block, 1U);  // it needs no jump
    EXPECT_FALSE(behind.next);
    const BasicBlock& loop = region.blocks[*entry.taken->block];
    EXPECT_EQ(loop.rip(), loop_);
    EXPECT_EQ(loop.count, 3U);
    EXPECT_TRUE(loop.loop_head);
    ASSERT_TRUE(loop.taken);
    EXPECT_EQ(loop.taken->block, entry.taken->block);
}

TEST_F(Loops, LeaveForCodeThatHasNotRun) {
    const Region& region = build({loop_});
    ASSERT_EQ(region.blocks.size(), 2U);
    ASSERT_TRUE(region.blocks[1].next && region.blocks[1].taken);
    EXPECT_FALSE(region.blocks[1].next->block);
    EXPECT_EQ(region.blocks[1].next->rip, behind_);
    EXPECT_EQ(region.blocks[1].taken->block, 1U);
}

TEST_F(Regions, EndAtThePage) {
    constexpr uint64_t kNext = kCode + kPageSize;
    code([&](Assembler& a) { a.jmp(kNext); });
    machine_.code_at(kNext, [](Assembler& a) { a.hlt(); });
    const Region& region = build({kNext});
    ASSERT_EQ(region.blocks.size(), 1U);
    ASSERT_TRUE(region.blocks[0].next);
    EXPECT_FALSE(region.blocks[0].next->block);
    EXPECT_EQ(region.blocks[0].next->rip, kNext);
}

TEST_F(Regions, EndWhereTheStackIsNotFollowed) {
    uint64_t behind = 0;
    code([&](Assembler& a) {
        a.mov(rsp, rax);
        behind = kCode + a.offset();
        a.push(rbx);
        a.hlt();
    });
    const Region& region = build({behind});
    ASSERT_EQ(region.blocks.size(), 1U);
    EXPECT_EQ(region.blocks[0].count, 1U);
    ASSERT_TRUE(region.blocks[0].next);
    EXPECT_EQ(region.blocks[0].next->rip, behind);
    EXPECT_FALSE(region.blocks[0].next->block);
}

// --- flags

TEST_F(Regions, FlagsLiveUntilTheyAreWritten) {
    code([](Assembler& a) {
        a.add(rax, rbx);
        a.mov(rsi, rdi);
        a.adc(rcx, rdx);
        a.xor_(esi, esi);
        a.jz(kCode);
        a.hlt();
    });
    build({kCode});
    EXPECT_EQ(at(0, 0).flags_live_out, kCf);
    EXPECT_EQ(at(0, 1).flags_live_out, kCf);
    EXPECT_EQ(at(0, 2).flags_live_out, 0U);
    EXPECT_EQ(region_.blocks[0].flags_live_in, 0U);
    EXPECT_NE(at(0, 3).flags_live_out & kZf, 0U);
}

TEST_F(Regions, FlagsLiveAroundLoops) {
    code([](Assembler& a) {
        const Label loop = a.newLabel();
        a.bind(loop);
        a.adc(rax, rbx);
        a.dec(ecx);  // leaves CF
        a.jnz(loop);
        a.hlt();
    });
    build();
    EXPECT_EQ(region_.blocks[0].flags_live_in, kCf);
    EXPECT_EQ(at(0, 0).flags_live_out & kCf, kCf);
    EXPECT_EQ(at(0, 1).flags_live_out & kZf, kZf);
}

TEST_F(Regions, ShiftsByAVariableCountNeedTheFlagsBefore) {
    code([](Assembler& a) {
        a.add(rax, rbx);
        a.shl(rdx, cl);
        a.jz(kCode);
        a.hlt();
    });
    build();
    EXPECT_EQ(at(0, 0).flags_live_out & kZf, kZf);
}

TEST_F(Regions, FlagsAreDirtyFromAnInstructionToTheInterpreter) {
    code([](Assembler& a) {
        a.mov(rax, rbx);
        a.add(rax, rbx);
        a.mov(rcx, rax);
        a.xlatb();
        a.jz(kCode);
    });
    build();
    ASSERT_EQ(at(0, 3).kind, Kind::interpret);
    EXPECT_FALSE(at(0, 1).flags_dirty);
    EXPECT_TRUE(at(0, 2).flags_dirty);
    EXPECT_TRUE(at(0, 3).flags_dirty);
    EXPECT_EQ(at(0, 3).flags_live_in(), kAllFlags);  // cpu.arith must be made true for it
    EXPECT_FALSE(at(0, 4).flags_dirty);
}

TEST_F(Loops, CarryDirtyFlagsAround) {
    build({loop_, behind_});
    EXPECT_FALSE(region_.blocks[0].flags_dirty_in);
    EXPECT_TRUE(region_.blocks[0].flags_dirty_out);
    EXPECT_TRUE(region_.blocks[1].flags_dirty_in);
    EXPECT_TRUE(region_.blocks[2].flags_dirty_in);
}

TEST_F(Regions, CleanFlagsNeedNotBeSaved) {
    code([](Assembler& a) {
        a.mov(rax, rbx);
        a.jmp(kCode);
    });
    build();
    EXPECT_FALSE(region_.blocks[0].flags_dirty_out);
    EXPECT_EQ(region_.blocks[0].flags_live_in, 0U);
}

// --- the stack

TEST_F(Regions, StackRangesCoverAllAccesses) {
    code([](Assembler& a) {
        a.push(rax);
        a.push(rbx);
        a.mov(ptr(rsp, 0x20), ecx);  // from the start: 0x10
        a.sub(rsp, 0x40);
        a.mov(rax, ptr(rsp, 8));  // -0x48
        a.add(rsp, 0x48);
        a.pop(rdx);  // -8
        a.jmp(kCode + 0x800);
    });
    const Region& region = build();
    EXPECT_TRUE(region.blocks[0].in_window);
    EXPECT_EQ(region.blocks[0].stack_change, 0);
    EXPECT_TRUE(region.checks_stack);
    EXPECT_FALSE(region.blocks[0].checks_stack);
    EXPECT_EQ(region.stack_low, -0x48);
    EXPECT_EQ(region.stack_high, 0x14);
}

TEST_F(Regions, CallsAndReturnsUseTheStack) {
    code([](Assembler& a) { a.call(kCode + 0x800); });
    const Region& call = build();
    EXPECT_TRUE(call.checks_stack);
    EXPECT_EQ(call.stack_low, -8);
    EXPECT_EQ(call.stack_high, 0);
}

TEST_F(Regions, ReturnsReadTheStack) {
    code([](Assembler& a) { a.ret(); });
    const Region& ret = build();
    EXPECT_TRUE(ret.checks_stack);
    EXPECT_EQ(ret.stack_low, 0);
    EXPECT_EQ(ret.stack_high, 8);
}

TEST_F(Regions, TheEntryChecksForAllBlocks) {
    uint64_t second = 0;
    code([&](Assembler& a) {
        const Label over = a.newLabel();
        a.push(rax);
        a.jz(over);
        second = kCode + a.offset();
        a.push(rbx);
        a.bind(over);
        a.hlt();
    });
    const Region& region = build({second});
    ASSERT_EQ(region.blocks.size(), 2U);
    EXPECT_TRUE(region.checks_stack);
    EXPECT_EQ(region.stack_low, -16);
    EXPECT_EQ(region.stack_high, 0);
    EXPECT_FALSE(region.blocks[1].checks_stack);
}

TEST_F(Regions, BlocksCheckForThemselvesWhereALoopMovesTheStack) {
    code([](Assembler& a) {
        const Label loop = a.newLabel();
        a.bind(loop);
        a.push(rax);
        a.dec(ecx);
        a.jnz(loop);
        a.hlt();
    });
    const Region& region = build();
    EXPECT_FALSE(region.checks_stack);
    EXPECT_TRUE(region.blocks[0].checks_stack);
    EXPECT_EQ(region.blocks[0].stack_low, -8);
    EXPECT_EQ(region.blocks[0].stack_high, 0);
    EXPECT_EQ(region.blocks[0].stack_change, -8);
}

TEST_F(Regions, AccessesFarFromEachOtherDoNotUseTheWindow) {
    code([](Assembler& a) {
        a.push(rax);
        a.mov(ptr(rsp, 0x2000), rcx);
        a.jmp(kCode + 0x800);
    });
    const Region& region = build();
    EXPECT_FALSE(region.blocks[0].in_window);
    EXPECT_FALSE(region.blocks[0].uses_stack);
    EXPECT_FALSE(region.checks_stack);
    EXPECT_FALSE(region.blocks[0].checks_stack);
}

// A check of 32 bits could not see where these end.
TEST_F(Regions, AccessesFarFromTheStartDoNotUseTheWindow) {
    using Write = void (*)(Assembler&);
    const Write far[] = {
        [](Assembler& a) { a.mov(ptr(rsp, 0x7FFFFFF0), rax); },
        [](Assembler& a) { a.mov(ptr(rsp, -0x7FFFFFF0), rax); },
        [](Assembler& a) {
            a.add(rsp, 0x7FFFFFFF);
            a.push(rax);
        },
        [](Assembler& a) {
            a.add(rsp, 0x7FFFFFFF);
            a.sub(rsp, 0x1000);
            a.push(rax);
        },
        [](Assembler& a) {
            a.lea(rsp, ptr(rsp, -0x7FFFFFFF));
            a.lea(rsp, ptr(rsp, 0x1000));
            a.pop(rax);
        },
    };
    for (const Write write : far) {
        code([&](Assembler& a) {
            write(a);
            a.jmp(kCode + 0x800);
        });
        const Region& region = build();
        EXPECT_FALSE(region.blocks[0].uses_stack);
        EXPECT_FALSE(region.checks_stack);
    }
}

// 32 bits of the sum of all that the blocks do would be 0 here.
TEST_F(Regions, ManyBlocksThatMoveTheStackFarCheckForThemselves) {
    constexpr uint64_t kStep = 16;
    constexpr uint64_t kSteps = 18;
    for (uint64_t i = 0; i < kSteps; ++i) {
        machine_.code_at(kCode + i * kStep, [&](Assembler& a) {
            a.lea(rsp, ptr(rsp, 0x0FFFFFF0));
            a.jmp(kCode + (i + 1) * kStep);
        });
    }
    machine_.code_at(kCode + kSteps * kStep, [](Assembler& a) {
        a.push(rax);
        a.jmp(kCode + 0x800);
    });
    for (uint64_t i = 0; i <= kSteps; ++i)
        ran(kCode + i * kStep);
    const Region& region = build();
    ASSERT_EQ(region.blocks.size(), kSteps + 1);
    EXPECT_FALSE(region.checks_stack);
    EXPECT_TRUE(region.blocks.back().checks_stack);
}

// The change is 2^31, which 32 bits do not hold.
TEST_F(Regions, SubtractionOfTheLeastNumberIsNotFollowed) {
    code([](Assembler& a) {
        a.sub(rsp, -0x7FFFFFFF - 1);
        a.hlt();
    });
    build();
    EXPECT_NE(at(0, 0).kind, Kind::move_stack);
    EXPECT_TRUE(at(0, 0).changes_rsp);
}

}  // namespace
}  // namespace banyan::jit
