#include "cpu/interp/msr.hpp"

#include <gtest/gtest.h>

#include "cpu/interp/kvm_clock.hpp"
#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

constexpr uint64_t kNonCanonical = 0x0000800000000000;

class Msr : public testing::Test {
protected:
    Msr() { m_.enter_long(); }
    uint64_t read(uint32_t index) {
        uint64_t value = 0;
        EXPECT_TRUE(read_msr(m_.cpu(), index, value)) << std::hex << index;
        return value;
    }
    bool write(uint32_t index, uint64_t value) { return write_msr(m_.cpu(), index, value); }

    TestMachine m_;
};

TEST_F(Msr, PlainRegistersKeepWhatIsWritten) {
    for (const uint32_t index :
         {x86::kMsrStar, x86::kMsrLstar, x86::kMsrSfmask, x86::kMsrKernelGsBase, x86::kMsrFsBase,
          x86::kMsrGsBase, x86::kMsrSysenterCs, x86::kMsrTscAux}) {
        EXPECT_TRUE(write(index, index + 1)) << index;
    }
    for (const uint32_t index :
         {x86::kMsrStar, x86::kMsrLstar, x86::kMsrSfmask, x86::kMsrKernelGsBase, x86::kMsrFsBase,
          x86::kMsrGsBase, x86::kMsrSysenterCs, x86::kMsrTscAux}) {
        EXPECT_EQ(read(index), index + 1) << index;
    }
}

TEST_F(Msr, AddressesMustBeCanonical) {
    for (const uint32_t index : {x86::kMsrLstar, x86::kMsrCstar, x86::kMsrFsBase, x86::kMsrGsBase,
                                 x86::kMsrKernelGsBase}) {
        EXPECT_FALSE(write(index, kNonCanonical)) << index;
    }
}

TEST_F(Msr, UnknownRaisesGp) {
    m_.code({0xB9, 0xEF, 0xBE, 0xAD, 0xDE, 0x0F, 0x32});  // mov ecx, 0xdeadbeef; rdmsr

    m_.run();

    EXPECT_EQ(m_.handler(), kGp);
}

TEST_F(Msr, ReadSplitsIntoEdxEax) {
    m_.cpu().msr.star = 0x1122334455667788;
    m_.cpu().gpr[x86::kRax] = m_.cpu().gpr[x86::kRdx] = ~uint64_t{0};
    m_.code({0xB9, 0x81, 0, 0, 0xC0, 0x0F, 0x32, 0xF4});

    m_.run();

    EXPECT_EQ(m_.cpu().gpr[x86::kRax], 0x55667788U);
    EXPECT_EQ(m_.cpu().gpr[x86::kRdx], 0x11223344U);
}

TEST_F(Msr, UserAccessRaisesGp) {
    TestMachine m;
    m.enter_long(3);
    m.code({0xB9, 0x81, 0, 0, 0xC0, 0x0F, 0x32});

    m.run();

    EXPECT_EQ(m.handler(), kGp);
}

TEST_F(Msr, EferKeepsLmaAndRefusesReservedBits) {
    EXPECT_FALSE(write(x86::kMsrEfer, read(x86::kMsrEfer) | 2));
    EXPECT_FALSE(write(x86::kMsrEfer, x86::kEferSce));  // LME while paging
    EXPECT_TRUE(write(x86::kMsrEfer, x86::kEferSce | x86::kEferLme));

    EXPECT_EQ(read(x86::kMsrEfer), x86::kEferSce | x86::kEferLme | x86::kEferLma);
}

TEST_F(Msr, PatRefusesReservedTypes) {
    EXPECT_TRUE(write(x86::kMsrPat, 0x0007010600070106));
    EXPECT_FALSE(write(x86::kMsrPat, 0x0002010600070106));
    EXPECT_FALSE(write(x86::kMsrPat, 0x0807010600070106));

    EXPECT_EQ(read(x86::kMsrPat), 0x0007010600070106U);
}

TEST_F(Msr, MtrrsAreCheckedAndKept) {
    EXPECT_TRUE(write(x86::kMsrMtrrPhysBase0, 0xC0000006));
    EXPECT_FALSE(write(x86::kMsrMtrrPhysBase0, 0xC0000002));         // reserved type
    EXPECT_FALSE(write(x86::kMsrMtrrPhysBase0, uint64_t{1} << 40));  // beyond the bus
    EXPECT_TRUE(write(x86::kMsrMtrrPhysBase0 + 1, 0xFFC0000800));
    EXPECT_TRUE(write(x86::kMsrMtrrFix4kC0000 + 7, 0x0606060606060606));
    EXPECT_FALSE(write(x86::kMsrMtrrFix64k, 0x03));
    EXPECT_TRUE(write(x86::kMsrMtrrDefType, 0xC06));
    EXPECT_FALSE(write(x86::kMsrMtrrDefType, 0x1000));
    EXPECT_FALSE(write(x86::kMsrMtrrCap, 0));

    EXPECT_EQ(read(x86::kMsrMtrrPhysBase0), 0xC0000006U);
    EXPECT_EQ(read(x86::kMsrMtrrFix4kC0000 + 7), 0x0606060606060606U);
    EXPECT_EQ(read(x86::kMsrMtrrDefType), 0xC06U);
    EXPECT_EQ(read(x86::kMsrMtrrCap) & 0xFF, m_.cpu().msr.mtrr_variable.size() / 2);
}

TEST_F(Msr, TscFollowsWritesAndAdjust) {
    m_.clock.set_now(1000);

    EXPECT_TRUE(write(x86::kMsrTsc, 5000));
    EXPECT_EQ(read(x86::kMsrTscAdjust), 4000U);
    EXPECT_TRUE(write(x86::kMsrTscAdjust, 0));
    m_.clock.advance(7);

    EXPECT_EQ(read(x86::kMsrTsc), 1007U);
}

TEST_F(Msr, TscAuxIsThirtyTwoBits) {
    EXPECT_FALSE(write(x86::kMsrTscAux, uint64_t{1} << 32));
}

TEST_F(Msr, ApicRegistersGoToApic) {
    EXPECT_EQ(read(x86::kMsrApicBase), 0xFEE00900U);
    EXPECT_FALSE(write(x86::kMsrX2ApicFirst, 0));  // the fake knows none
}

TEST_F(Msr, DeadlineIsOfTheGuestsCounter) {
    ASSERT_TRUE(write(x86::kMsrTsc, 1'000'000));  // the machine's counter is 0
    ASSERT_TRUE(write(x86::kMsrTscDeadline, 1'000'500));
    EXPECT_EQ(m_.interrupts.deadline(), 500U);

    ASSERT_TRUE(write(x86::kMsrTscAdjust, 0));

    EXPECT_EQ(m_.interrupts.deadline(), 1'000'500U);
    EXPECT_EQ(read(x86::kMsrTscDeadline), 1'000'500U);
    ASSERT_TRUE(write(x86::kMsrTscDeadline, 0));
    EXPECT_EQ(m_.interrupts.deadline(), 0U);
}

TEST_F(Msr, DisabledApicVanishesFromCpuid) {
    m_.code({0xB8, 1, 0, 0, 0, 0x0F, 0xA2, 0x89, 0xD6,  // mov eax, 1; cpuid; mov esi, edx
             0xF4});
    ASSERT_TRUE(write(x86::kMsrApicBase, 0xFEE00100));

    m_.run();

    EXPECT_EQ(m_.cpu().gpr[x86::kRsi] >> 9 & 1, 0U);
}

TEST_F(Msr, PvEoiGoesToApic) {
    EXPECT_TRUE(write(x86::kMsrKvmPvEoiEn, 0x5001));

    EXPECT_EQ(m_.interrupts.pv_eoi(), 0x5001U);
    EXPECT_EQ(read(x86::kMsrKvmPvEoiEn), 0x5001U);
}

// --- the KVM clock
// ----------------------------------------------------------------------------------

struct Record {
    uint32_t version;
    uint32_t pad;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags;
    uint16_t pad2;
};

// As a guest computes it.
uint64_t guest_ns(const Record& r, uint64_t tsc) {
    const uint64_t delta = tsc - r.tsc_timestamp;
    const uint64_t scaled = r.shift >= 0 ? delta << r.shift : delta >> -r.shift;
    return r.system_time + static_cast<uint64_t>((static_cast<__uint128_t>(scaled) * r.mul) >> 32);
}

TEST_F(Msr, KvmClockFollowsTscWrites) {
    m_.clock.set_now(123'456'789);
    ASSERT_TRUE(write(x86::kMsrKvmSystemTimeNew, M::kData | 1));
    const auto before = m_.get<Record>(M::kData);
    ASSERT_TRUE(write(x86::kMsrTsc, 99));
    const auto after = m_.get<Record>(M::kData);

    EXPECT_EQ(guest_ns(before, 123'456'789), 123'456'789U);
    EXPECT_EQ(guest_ns(after, 99), 123'456'789U);
    EXPECT_EQ(before.version & 1, 0U);
    EXPECT_GT(after.version, before.version);
    EXPECT_EQ(after.flags, 1);
}

TEST_F(Msr, KvmClockOffWritesNothing) {
    ASSERT_TRUE(write(x86::kMsrKvmSystemTimeNew, M::kData));

    EXPECT_EQ(m_.get<Record>(M::kData).version, 0U);
}

TEST_F(Msr, KvmClockOutsideMemoryIsHarmless) {
    EXPECT_TRUE(write(x86::kMsrKvmSystemTimeNew, 0xFFFFFFFFF001));
    EXPECT_TRUE(write(x86::kMsrKvmWallClockNew, 0xFFFFFFFFF000));
}

TEST_F(Msr, WallClockIsTheTimeAtZero) {
    m_.clock.set_now(5'000'000'000);
    ASSERT_TRUE(write(x86::kMsrKvmWallClockNew, M::kData));

    EXPECT_EQ(m_.get<uint32_t>(M::kData) & 1, 0U);
    EXPECT_EQ(m_.get<uint32_t>(M::kData + 4), FakeClock::kDefaultEpochNs / 1'000'000'000);
}

class TscScales : public testing::TestWithParam<uint64_t> {};

TEST_P(TscScales, GiveNanosecondsToOneInABillion) {
    const uint64_t hz = GetParam();
    const TscScale scale = tsc_to_ns_scale(hz);
    Record r{};
    r.mul = scale.mul;
    r.shift = scale.shift;

    const uint64_t hour = guest_ns(r, hz * 3600);

    EXPECT_NEAR(static_cast<double>(hour), 3600e9, 3600.0);
    EXPECT_NE(scale.mul >> 31, 0U);
}

INSTANTIATE_TEST_SUITE_P(KvmClock, TscScales,
                         testing::Values(1'000'000, 999'999'999, 1'000'000'000, 1'000'000'001,
                                         2'596'142'000, 2'000'000'000, 5'700'000'000));

}  // namespace
}  // namespace banyan::interp
