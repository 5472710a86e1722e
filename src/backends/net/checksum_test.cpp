#include "backends/net/checksum.hpp"

#include <array>
#include <cstring>
#include <gtest/gtest.h>

namespace banyan {
namespace {

template <size_t N>
std::span<const std::byte> bytes_of(const std::array<uint8_t, N>& bytes) {
    return std::as_bytes(std::span(bytes));
}

TEST(InternetSum, IsThatOfTheStandard) {
    // RFC 1071, section 3.
    EXPECT_EQ(internet_sum(bytes_of<8>({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7})), 0xddf2);
    EXPECT_EQ(internet_sum(bytes_of<7>({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6})), 0xddf2 - 0xf7);
    EXPECT_EQ(internet_sum(bytes_of<4>({0xff, 0xff, 0xff, 0xff})), 0xffff);
    EXPECT_EQ(internet_sum({}), 0);
}

TEST(FinishChecksum, FillsTheField) {
    std::array<uint8_t, 24> frame{};
    frame[14] = 0x12;
    frame[15] = 0x34;
    frame[20] = 0x10;  // the field, with the sum of a pseudo header
    const NetFrameInfo info{.needs_checksum = true, .checksum_start = 14, .checksum_offset = 6};
    ASSERT_TRUE(finish_checksum(std::as_writable_bytes(std::span(frame)), info));
    EXPECT_EQ(frame[20] << 8 | frame[21], 0xffff - 0x1234 - 0x1000);
    EXPECT_EQ(internet_sum(bytes_of(frame)), 0xffff - 0x1000) << "all but the pseudo header";
}

TEST(FinishChecksum, IsNever0) {
    std::array<uint8_t, 20> frame{};
    frame[14] = frame[15] = 0xff;
    const NetFrameInfo info{.needs_checksum = true, .checksum_start = 14, .checksum_offset = 2};
    ASSERT_TRUE(finish_checksum(std::as_writable_bytes(std::span(frame)), info));
    EXPECT_EQ(frame[16] << 8 | frame[17], 0xffff) << "0 is: none";
}

TEST(FinishChecksum, StaysInTheFrame) {
    std::array<uint8_t, 20> frame{};
    const auto bytes = std::as_writable_bytes(std::span(frame));
    EXPECT_TRUE(finish_checksum(bytes, {.checksum_start = 14, .checksum_offset = 4}));
    EXPECT_FALSE(finish_checksum(bytes, {.checksum_start = 14, .checksum_offset = 5}));
    EXPECT_FALSE(finish_checksum(bytes, {.checksum_start = 65535, .checksum_offset = 65535}));
}

}  // namespace
}  // namespace banyan
