#include "host/linux/guest_ram.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr uint64_t kSize = uint64_t{4} << 20;

TEST(GuestRam, IsZeroAndWritable) {
    auto ram = GuestRam::create(kSize);
    ASSERT_TRUE(ram) << ram.error().text();
    const auto bytes = (*ram)->bytes();

    EXPECT_EQ(bytes.size(), kSize);
    EXPECT_EQ(bytes[kSize - 1], std::byte{0});
    bytes[kSize - 1] = std::byte{0x5A};
}

TEST(GuestRam, BeginsWhereALargePageMay) {
    for (int i = 0; i < 3; ++i) {
        auto ram = GuestRam::create(kSize + 4096);
        ASSERT_TRUE(ram);
        EXPECT_EQ(reinterpret_cast<uintptr_t>((*ram)->bytes().data()) % (2U << 20), 0U);
        EXPECT_EQ((*ram)->bytes().size(), kSize + 4096);
    }
}

TEST(GuestRam, HasPlacesWhereLargePagesFit) {
    constexpr uint64_t kLow = 0xA0000;
    constexpr Gpa kBehindAHole{0xC0000};
    constexpr Gpa kHigh{uint64_t{4} << 30};
    EXPECT_EQ(GuestRam::place_for(Gpa{0}, 0), 0U);
    EXPECT_EQ(GuestRam::place_for(kBehindAHole, kLow), 0xC0000U);
    EXPECT_EQ(GuestRam::place_for(kHigh, uint64_t{3} << 30), uint64_t{3} << 30);
    EXPECT_EQ(GuestRam::place_for(kHigh, (uint64_t{3} << 30) - 1), uint64_t{3} << 30);
}

TEST(GuestRam, MoreThanTheHostHasIsAnError) {
    const auto ram = GuestRam::create(uint64_t{1} << 52);

    ASSERT_FALSE(ram);
    EXPECT_EQ(ram.error().code(), ErrorCode::out_of_memory);
}

}  // namespace
}  // namespace banyan
