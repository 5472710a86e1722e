#include "network/packets/internet_checksum.hpp"

#include <gtest/gtest.h>

#include "network/packets/frame_bytes.hpp"
#include "network/packets/testing/packet_builder.hpp"

namespace banyan {
namespace {

// The example of RFC 1071, 3.
TEST(InternetChecksum, SumsTheExampleOfItsRfc) {
    constexpr std::array<uint8_t, 8> kBytes{0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7};
    const InternetChecksum sum = InternetChecksum().add(std::as_bytes(std::span(kBytes)));
    EXPECT_EQ(sum.value(), static_cast<uint16_t>(~0xDDF2));
}

TEST(InternetChecksum, IsTheSameInPieces) {
    const FrameBytes bytes = counting_bytes(1503);
    const uint16_t expected = static_cast<uint16_t>(~plain_sum(bytes));
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{1503}}) {
        InternetChecksum sum;
        for (size_t at = 0; at < bytes.size(); at += piece)
            sum.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
        EXPECT_EQ(sum.value(), expected) << piece;
    }
}

TEST(FrameInfo, MustLieInTheFrame) {
    NetFrameInfo info;
    EXPECT_TRUE(is_consistent(info, 60));
    info.needs_checksum = true;
    info.checksum_start = 34;
    info.checksum_offset = 16;
    EXPECT_TRUE(is_consistent(info, 52));
    EXPECT_FALSE(is_consistent(info, 51));
    info.checksum_start = 13;
    EXPECT_FALSE(is_consistent(info, 60));
    info = {.checksum_start = 34, .segmentation = NetFrameInfo::Segmentation::tcp4};
    EXPECT_FALSE(is_consistent(info, 60)) << "to be segmented, but not to be summed";
}

TEST(FrameBytes, AreCopiedOutOfTheirParts) {
    const FrameBytes bytes = counting_bytes(100);
    const std::array<std::span<const std::byte>, 3> parts{
        std::span(bytes).first(10), std::span(bytes).subspan(10, 0), std::span(bytes).subspan(10)};
    FrameBytes copy(64);
    EXPECT_EQ(copy_frame({parts, 100, {}}, copy), 64U);
    EXPECT_TRUE(std::equal(copy.begin(), copy.end(), bytes.begin()));
    copy.resize(200);
    EXPECT_EQ(copy_frame({parts, 100, {}}, copy), 100U);
}

}  // namespace
}  // namespace banyan
