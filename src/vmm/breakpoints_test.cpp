#include "vmm/breakpoints.hpp"

#include <array>
#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr uint8_t kNop = 0x90;
constexpr uint8_t kInt3 = 0xCC;
constexpr Gpa kPlace{0x100};
constexpr uint64_t kLinear = 0xFFFF'8000'0000'0100;

class BreakpointsTest : public testing::Test {
protected:
    void SetUp() override {
        bytes.fill(std::byte{kNop});
        ASSERT_TRUE(memory.add_region(Gpa{0}, std::span(bytes).first(kPageSize), MemoryKind::ram));
        ASSERT_TRUE(
            memory.add_region(Gpa{kPageSize}, std::span(bytes).last(kPageSize), MemoryKind::rom));
    }
    uint8_t in_memory(Gpa gpa = kPlace) const { return static_cast<uint8_t>(bytes[gpa.value]); }
    uint8_t shown(Gpa gpa = kPlace) const {
        std::array<std::byte, 3> around{};
        EXPECT_TRUE(breakpoints.read(Gpa{gpa.value - 1}, around));
        return static_cast<uint8_t>(around[1]);
    }
    void write(uint8_t value) {
        const std::byte byte{value};
        EXPECT_TRUE(breakpoints.write(kPlace, {&byte, 1}));
    }

    alignas(kPageSize) std::array<std::byte, 2 * kPageSize> bytes;
    GuestMemory memory;
    Breakpoints breakpoints{memory};
};

TEST_F(BreakpointsTest, AreInMemoryAndNotSeen) {
    ASSERT_TRUE(breakpoints.plant(kLinear, kPlace));

    EXPECT_EQ(in_memory(), kInt3);
    EXPECT_EQ(shown(), kNop);
    EXPECT_EQ(breakpoints.addresses(), std::vector<uint64_t>{kLinear});

    breakpoints.lift(kLinear);

    EXPECT_EQ(in_memory(), kNop);
    EXPECT_TRUE(breakpoints.addresses().empty());
}

TEST_F(BreakpointsTest, PlantedTwiceAreLiftedOnce) {
    ASSERT_TRUE(breakpoints.plant(kLinear, kPlace));
    ASSERT_TRUE(breakpoints.plant(kLinear, kPlace));

    breakpoints.lift(kLinear);
    breakpoints.lift(kLinear);

    EXPECT_EQ(in_memory(), kNop);
}

TEST_F(BreakpointsTest, TwoAddressesOfOneByte) {
    ASSERT_TRUE(breakpoints.plant(kLinear, kPlace));
    ASSERT_TRUE(breakpoints.plant(kLinear + kPageSize, kPlace));

    breakpoints.lift(kLinear);
    EXPECT_EQ(in_memory(), kInt3);
    EXPECT_EQ(shown(), kNop);

    breakpoints.lift(kLinear + kPageSize);
    EXPECT_EQ(in_memory(), kNop);
}

TEST_F(BreakpointsTest, WhatTheDebuggerWritesGoesBelow) {
    ASSERT_TRUE(breakpoints.plant(kLinear, kPlace));

    write(0x55);

    EXPECT_EQ(in_memory(), kInt3);
    EXPECT_EQ(shown(), 0x55);
    breakpoints.lift_all();
    EXPECT_EQ(in_memory(), 0x55);
}

TEST_F(BreakpointsTest, WhatTheGuestWroteStays) {
    ASSERT_TRUE(breakpoints.plant(kLinear, kPlace));
    ASSERT_TRUE(memory.write_object(kPlace, uint8_t{0x66}));

    EXPECT_EQ(shown(), 0x66);
    breakpoints.lift_all();
    EXPECT_EQ(in_memory(), 0x66);
}

TEST_F(BreakpointsTest, AnInt3OfTheGuestIsShown) {
    ASSERT_TRUE(memory.write_object(kPlace, kInt3));

    EXPECT_EQ(shown(), kInt3);
}

TEST_F(BreakpointsTest, NeedRam) {
    EXPECT_FALSE(breakpoints.plant(1, Gpa{kPageSize})) << "ROM";
    EXPECT_FALSE(breakpoints.plant(2, Gpa{16 * kPageSize})) << "nothing";
    EXPECT_TRUE(breakpoints.addresses().empty());
}

TEST_F(BreakpointsTest, AreBounded) {
    for (uint64_t i = 0; i < Breakpoints::kMost; ++i)
        ASSERT_TRUE(breakpoints.plant(i, kPlace));

    EXPECT_FALSE(breakpoints.plant(Breakpoints::kMost, kPlace));
}

}  // namespace
}  // namespace banyan
