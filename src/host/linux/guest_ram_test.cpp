#include "host/linux/guest_ram.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace banyan {
namespace {

constexpr uint64_t kSize = uint64_t{4} << 20;

TEST(GuestRam, IsZeroAndWritable) {
    auto ram = GuestRam::create(kSize, "test");
    ASSERT_TRUE(ram) << ram.error().text();
    const auto bytes = (*ram)->bytes();

    EXPECT_EQ(bytes.size(), kSize);
    EXPECT_EQ(bytes[kSize - 1], std::byte{0});
    bytes[kSize - 1] = std::byte{0x5A};
    std::byte through_fd{};
    EXPECT_EQ(::pread((*ram)->fd(), &through_fd, 1, kSize - 1), 1);
    EXPECT_EQ(through_fd, std::byte{0x5A});
}

TEST(GuestRam, CannotChangeItsSize) {
    auto ram = GuestRam::create(kSize, "test");
    ASSERT_TRUE(ram);

    EXPECT_NE(::ftruncate((*ram)->fd(), 0), 0);
    EXPECT_NE(::ftruncate((*ram)->fd(), 2 * kSize), 0);
}

TEST(GuestRam, MoreThanTheHostHasIsAnError) {
    const auto ram = GuestRam::create(uint64_t{1} << 52, "test");

    ASSERT_FALSE(ram);
    EXPECT_EQ(ram.error().code(), ErrorCode::out_of_memory);
}

}  // namespace
}  // namespace banyan
