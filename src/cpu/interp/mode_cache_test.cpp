#include "cpu/interp/mode_cache.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

class ModeCacheTest : public testing::Test {
protected:
    ModeCacheTest() {
        m.enter_long();
        cpu().cr4 |= x86::kCr4Smap;
        visit_all();
    }

    Cpu& cpu() { return m.cpu(); }
    const ModeCache::Entry& entry(CachedMode mode) {
        return cpu().modes.entries[static_cast<unsigned>(mode)];
    }
    void visit(CachedMode mode) {
        cpu().cpl = mode == CachedMode::user ? 3 : 0;
        cpu().system_flags = mode == CachedMode::kernel_open ? uint32_t{x86::kAc} : 0;
        cpu().mode_changed();
    }
    void visit_all() {
        for (const CachedMode mode : kModes)
            visit(mode);
    }
    // What is known of each mode is what mode_changed() comes to in it.
    void expect_true() {
        for (const CachedMode mode : kModes) {
            SCOPED_TRACE(static_cast<unsigned>(mode));
            const ModeCache::Entry before = entry(mode);
            ASSERT_TRUE(before.known);
            visit(mode);
            EXPECT_EQ(before.bits, cpu().mode.bits);
            EXPECT_EQ(before.view, cpu().view);
            EXPECT_EQ(before.tlb, cpu().tlb);
            EXPECT_EQ(before.context, cpu().context);
        }
    }
    void expect_only(CachedMode known) {
        for (const CachedMode mode : kModes)
            EXPECT_EQ(entry(mode).known, mode == known) << static_cast<unsigned>(mode);
    }

    static constexpr CachedMode kModes[] = {CachedMode::user, CachedMode::kernel,
                                            CachedMode::kernel_open};
    TestMachine m;
};

TEST_F(ModeCacheTest, KnowsWhatWasVisited) {
    expect_true();
    EXPECT_EQ(entry(CachedMode::user).view, View::user);
    EXPECT_EQ(entry(CachedMode::kernel).view, View::supervisor_smap);
    EXPECT_EQ(entry(CachedMode::kernel_open).view, View::supervisor);
}

TEST_F(ModeCacheTest, FollowsAddressSpaces) {
    cpu().switch_address_space(false);
    expect_true();
    cpu().flush_tlb();
    expect_true();
    cpu().spaces.note_local_kernel_code();
    cpu().switch_address_space(false);
    expect_true();
}

TEST_F(ModeCacheTest, ForgetsWhenAnInputChanges) {
    const auto change = [&](uint64_t& input, uint64_t bits) {
        visit_all();
        input ^= bits;
        visit(CachedMode::kernel);
        expect_only(CachedMode::kernel);
    };
    change(cpu().cr0, x86::kCr0Ts);
    change(cpu().cr4, x86::kCr4Smap);
    change(cpu().xcr0, x86::kXcr0Avx);
    change(cpu().dr7, 1);
    change(cpu().msr.efer, x86::kEferNxe);
}

TEST_F(ModeCacheTest, LearnsNothingOfOtherModes) {
    cpu().cr0 ^= x86::kCr0Ts;
    cpu().cpl = 0;
    for (const uint32_t flag : {x86::kTf, x86::kRf}) {
        cpu().system_flags = flag;
        cpu().mode_changed();
    }
    cpu().system_flags = 0;
    cpu().cpl = 1;
    cpu().mode_changed();
    cpu().cpl = 3;
    cpu().system_flags = x86::kAc;
    cpu().mode_changed();
    cpu().system_flags = 0;
    cpu().seg[x86::kCs].attributes.set<x86::Attributes::Long>(false);
    cpu().mode_changed();
    for (const CachedMode mode : kModes)
        EXPECT_FALSE(entry(mode).known);
}

}  // namespace
}  // namespace banyan::interp
