#include "loader/placement.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace banyan::loader {
namespace {

const std::vector<E820Entry> kMap{
    {{0}, 0xA0000, E820Type::ram},
    {{0xE0000}, 0x10000, E820Type::acpi},
    {{0x100000}, 0x100000, E820Type::ram},
    {{1ULL << 32}, 0x100000, E820Type::ram},
};

TEST(Placement, KeepsTheFirstPageFree) {
    Placement placement(kMap);
    EXPECT_EQ(placement.take_lowest(1, 1, 0), Gpa{0x1000});
    EXPECT_FALSE(placement.take(0, 1));
}

TEST(Placement, GivesNoRangeTwice) {
    Placement placement(kMap);
    ASSERT_TRUE(placement.take(0x110000, 0x1000));
    EXPECT_FALSE(placement.take(0x110FFF, 1));
    EXPECT_FALSE(placement.take(0x10F000, 0x1001));
    EXPECT_TRUE(placement.take(0x10F000, 0x1000));
    EXPECT_TRUE(placement.take(0x111000, 0x1000));
    EXPECT_EQ(placement.take_highest(0x1000, 0x1000, 0x112000), Gpa{0x10E000});
}

TEST(Placement, StaysInsideOneRangeOfRam) {
    Placement placement(kMap);
    EXPECT_FALSE(placement.take(0xE0000, 1)) << "ACPI tables are no free RAM";
    EXPECT_FALSE(placement.take(0x1FF000, 0x1001));
    EXPECT_FALSE(placement.take(0x100000, ~uint64_t{0}));
    EXPECT_FALSE(placement.take(1ULL << 32, 1)) << "only below 4 GiB";
    EXPECT_EQ(placement.take_lowest(0xA0000, 1, 0), Gpa{0x100000});
    EXPECT_EQ(placement.take_lowest(0x100000, 1, 0), std::nullopt);
}

TEST(Placement, AlignsAndObeysBounds) {
    Placement placement(kMap);
    EXPECT_EQ(placement.take_lowest(0x10, 0x1000, 0x2001), Gpa{0x3000});
    EXPECT_EQ(placement.take_highest(0x1800, 0x1000, 0x120000), Gpa{0x11E000});
    EXPECT_EQ(placement.take_highest(0x1000, 0x1000, ~uint64_t{0}), Gpa{0x1FF000});
    EXPECT_EQ(placement.take_highest(0x1000, 0x1000, 0x800), std::nullopt);
}

TEST(Placement, SaysWhatIsRamEvenIfTaken) {
    Placement placement(kMap);
    ASSERT_TRUE(placement.take(0x100000, 0x1000));
    EXPECT_TRUE(placement.is_ram(0x100000, 1));
    EXPECT_FALSE(placement.is_ram(0xE0000, 1));
    EXPECT_FALSE(placement.is_ram(0x1FFFFF, 2));
    EXPECT_EQ(placement.ram_bytes(), 0x9F000U + 0x100000U);
}

}  // namespace
}  // namespace banyan::loader
