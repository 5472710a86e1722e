#include "backends/net/checksum.hpp"

#include <array>
#include <cstring>
#include <gtest/gtest.h>

#include "network/packets/internet_checksum.hpp"

namespace banyan {
namespace {

template <size_t N>
std::span<const std::byte> bytes_of(const std::array<uint8_t, N>& bytes) {
    return std::as_bytes(std::span(bytes));
}

TEST(FinishChecksum, FillsTheField) {
    std::array<uint8_t, 24> frame{};
    frame[14] = 0x12;
    frame[15] = 0x34;
    frame[20] = 0x10;  // the field, with the sum of a pseudo header
    const NetFrameInfo info{.needs_checksum = true, .checksum_start = 14, .checksum_offset = 6};
    ASSERT_TRUE(finish_checksum(std::as_writable_bytes(std::span(frame)), info));
    EXPECT_EQ(frame[20] << 8 | frame[21], 0xffff - 0x1234 - 0x1000);
    EXPECT_EQ(InternetChecksum().add(bytes_of(frame)).value(), 0x1000)
        << "all but the pseudo header";
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
