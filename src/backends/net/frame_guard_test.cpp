#include "backends/net/frame_guard.hpp"

#include <cstdint>
#include <gtest/gtest.h>
#include <vector>

namespace banyan {
namespace {

bool refused(std::vector<uint8_t> type, size_t at, const std::vector<uint8_t>& destination) {
    std::vector<uint8_t> frame(12);
    frame.insert(frame.end(), type.begin(), type.end());
    frame.resize(14 + at);
    frame.insert(frame.end(), destination.begin(), destination.end());
    return is_to_this_host(std::as_bytes(std::span(frame)));
}

bool refused4(const std::vector<uint8_t>& destination) {
    return refused({0x08, 0x00}, 16, destination);
}

bool refused6(std::vector<uint8_t> first, std::vector<uint8_t> last) {
    first.resize(16 - last.size());
    first.insert(first.end(), last.begin(), last.end());
    return refused({0x86, 0xDD}, 24, first);
}

TEST(FrameGuard, RefusesLoopbackAddresses) {
    EXPECT_TRUE(refused4({127, 0, 0, 1}));
    EXPECT_TRUE(refused4({127, 255, 1, 2}));
    EXPECT_TRUE(refused4({0, 0, 0, 0})) << "Linux takes it for the host";
    EXPECT_TRUE(refused6({}, {1}));
    EXPECT_TRUE(refused6({}, {0}));
    EXPECT_TRUE(refused6({}, {0xFF, 0xFF, 127, 0, 0, 1})) << "mapped IPv4";
    EXPECT_TRUE(refused6({}, {0x7F, 0, 0, 1}));
}

TEST(FrameGuard, LetsTheOthersPass) {
    EXPECT_FALSE(refused4({10, 0, 2, 2}));
    EXPECT_FALSE(refused4({255, 255, 255, 255})) << "DHCP";
    EXPECT_FALSE(refused6({0xFD, 0xBA}, {2}));
    EXPECT_FALSE(refused6({0xFF, 0x02}, {1}));
    EXPECT_FALSE(refused({0x08, 0x06}, 16, {127, 0, 0, 1})) << "ARP";
}

TEST(FrameGuard, ShortFramesNameNobody) {
    EXPECT_FALSE(is_to_this_host({}));
    EXPECT_FALSE(refused4({127, 0, 0}));
}

}  // namespace
}  // namespace banyan
