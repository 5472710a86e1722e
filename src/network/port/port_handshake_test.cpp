#include "network/port/port_handshake.hpp"

#include <gtest/gtest.h>

#include "network/packets/testing/packet_builder.hpp"
#include "support/le.hpp"

namespace banyan {
namespace {

PortHello good_hello() {
    return {.request = PortRequest::join,
            .name = "web-1",
            .mac = test_mac(1),
            .vlan = 10,
            .isolated = true,
            .bytes_per_second = 1'000'000};
}

TEST(PortHandshake, CarriesWhatAMemberIs) {
    const auto hello = decode_hello(encode(good_hello()));
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->request, PortRequest::join);
    EXPECT_EQ(hello->name, "web-1");
    EXPECT_EQ(hello->mac, test_mac(1));
    EXPECT_EQ(hello->vlan, 10);
    EXPECT_TRUE(hello->isolated);
    EXPECT_EQ(hello->bytes_per_second, 1'000'000U);
}

TEST(PortHandshake, CarriesAWelcomeOrARefusal) {
    EXPECT_EQ(decode_welcome(encode({.ring_size = kLeastRing * 2}))->ring_size, kLeastRing * 2);
    EXPECT_EQ(decode_welcome(encode({.refusal = "no\nway"}))->refusal, "no?way");
    const std::string longest(2000, 'x');
    EXPECT_EQ(decode_welcome(encode({.refusal = longest}))->refusal, longest.substr(0, 499));
}

TEST(PortHandshake, RefusesHellosThatAreNone) {
    const auto is_refused = [](auto change) {
        PortHello hello = good_hello();
        change(hello);
        return !decode_hello(encode(hello));
    };
    EXPECT_FALSE(is_refused([](PortHello&) {}));
    EXPECT_TRUE(is_refused([](PortHello& h) { h.name = ""; }));
    EXPECT_TRUE(is_refused([](PortHello& h) { h.name = "a.b"; }));
    EXPECT_TRUE(is_refused([](PortHello& h) { h.name = "a/b"; }));
    EXPECT_TRUE(is_refused([](PortHello& h) { h.mac = kBroadcastMac; }));
    EXPECT_TRUE(is_refused([](PortHello& h) { h.mac = {}; }));
    EXPECT_TRUE(is_refused([](PortHello& h) { h.vlan = 4095; }));
    EXPECT_TRUE(is_refused([](PortHello& h) { h.bytes_per_second = ~uint64_t{0}; }));
    EXPECT_TRUE(is_refused([](PortHello& h) { h.request = static_cast<PortRequest>(9); }));
}

TEST(PortHandshake, RefusesOtherVersionsAndSizes) {
    HelloBytes hello = encode(good_hello());
    EXPECT_FALSE(decode_hello(std::span(hello).first(kHelloSize - 1)));
    EXPECT_FALSE(decode_hello({}));
    put_header<le32>(hello, 4, le32(kPortVersion + 1));
    EXPECT_FALSE(decode_hello(hello));
    for (const uint32_t size : {0U, 4096U, 300'000U, 1U << 30})
        EXPECT_FALSE(decode_welcome(encode({.ring_size = size}))) << size;
}

}  // namespace
}  // namespace banyan
