#include <gtest/gtest.h>

#include "network/services/dhcp_server.hpp"
#include "network/services/testing/client_packets.hpp"

namespace banyan {
namespace {

constexpr uint32_t kServer = 0x0A010101;
constexpr uint32_t kFirst = 0x0A01010A;

DhcpConfig small_pool(uint32_t addresses) {
    return {.server = {kServer},
            .subnet = *parse_subnet("10.1.1.0/24"),
            .first = {kFirst},
            .last = {kFirst + addresses - 1},
            .router = Ipv4Address{0x0A010102},
            .dns = {{kServer}, {0x0A010103}},
            .domain = "lab"};
}

class DhcpTest : public testing::Test {
protected:
    std::optional<DhcpReply> ask(const DhcpClientMessage& message) {
        const auto request = parse_dhcp(dhcp_message(message));
        EXPECT_TRUE(request);
        return server_.answer(*request, "", now_);
    }
    // Discover and request; the address.
    uint32_t lease(uint8_t last_of_mac) {
        const auto offer = ask({.mac = test_mac(last_of_mac)});
        if (!offer) return 0;
        EXPECT_EQ(offer->type, DhcpType::offer);
        const auto ack = ask({.type = DhcpType::request,
                              .mac = test_mac(last_of_mac),
                              .requested = offer->address.value,
                              .server = kServer});
        EXPECT_EQ(ack->type, DhcpType::ack);
        return ack->address.value;
    }

    DhcpServer server_{small_pool(3)};
    uint64_t now_ = 1000;
};

TEST_F(DhcpTest, LeasesAnAddressToEach) {
    const uint32_t one = lease(1), two = lease(2), three = lease(3);
    EXPECT_TRUE(one != two && two != three && one != three);
    for (const uint32_t address : {one, two, three})
        EXPECT_TRUE(address >= kFirst && address < kFirst + 3);
    EXPECT_EQ(lease(4), 0U) << "there are no more";
    EXPECT_EQ(lease(2), two) << "the same again";
    now_ += DhcpServer::kLeaseSeconds;
    server_.remove_expired(now_);
    EXPECT_NE(lease(4), 0U);
}

TEST_F(DhcpTest, GivesTheSameAddressAfterANewStart) {
    const uint32_t one = lease(1);
    DhcpServer again(small_pool(3));
    EXPECT_EQ(again.answer(*parse_dhcp(dhcp_message({})), "", now_)->address.value, one);
}

TEST_F(DhcpTest, TakesLeasesOfAnEarlierLife) {
    server_.restore(test_mac(7), {.address = {kFirst}, .expires_s = 2000, .host_name = "Old"});
    server_.restore(test_mac(8), {.address = {0x01020304}, .expires_s = 2000});
    ASSERT_EQ(server_.leases().all().size(), 1U);
    EXPECT_EQ(server_.leases().find(test_mac(7))->host_name, "old");
    EXPECT_NE(lease(1), kFirst);
    EXPECT_EQ(lease(7), kFirst);
}

TEST_F(DhcpTest, TellsTheNetwork) {
    const auto offer = ask({.host_name = "Web-1"});
    const auto request = *parse_dhcp(dhcp_message({}));
    const FrameBytes message = build_dhcp(request, *offer);
    EXPECT_GE(message.size(), 300U);
    EXPECT_EQ(message[0], std::byte{2});
    EXPECT_EQ(*header_at<be32>(message, 4), 0xCAFE1234U);
    EXPECT_EQ(*header_at<be32>(message, 16), offer->address.value);
    EXPECT_EQ(dhcp_option(message, 53), FrameBytes{std::byte{2}});
    EXPECT_EQ(dhcp_option(message, 54), bytes_of(be32(kServer)));
    EXPECT_EQ(dhcp_option(message, 51), bytes_of(be32(3600)));
    EXPECT_EQ(dhcp_option(message, 1), bytes_of(be32(0xFFFFFF00)));
    EXPECT_EQ(dhcp_option(message, 3), bytes_of(be32(0x0A010102)));
    EXPECT_EQ(dhcp_option(message, 6).size(), 8U);
    EXPECT_EQ(dhcp_option(message, 15).size(), 3U);
}

TEST_F(DhcpTest, RenewsAndRemembersTheHostName) {
    const uint32_t address = lease(1);
    now_ += 3000;
    const auto ack = ask({.type = DhcpType::request, .client = address, .host_name = "Web-1"});
    EXPECT_EQ(ack->type, DhcpType::ack);
    EXPECT_EQ(server_.leases().find(test_mac(1))->expires_s, now_ + 3600);
    EXPECT_EQ(server_.leases().find(test_mac(1))->host_name, "web-1");
}

TEST_F(DhcpTest, RefusesWhatIsAnothersOrElsewhere) {
    const uint32_t one = lease(1);
    EXPECT_EQ(ask({.type = DhcpType::request, .mac = test_mac(2), .requested = one})->type,
              DhcpType::nak);
    EXPECT_EQ(ask({.type = DhcpType::request, .mac = test_mac(2), .requested = 0xC0A80001})->type,
              DhcpType::nak);
    const auto free = one == kFirst ? kFirst + 1 : kFirst;
    EXPECT_EQ(ask({.type = DhcpType::request, .mac = test_mac(2), .requested = free})->type,
              DhcpType::ack)
        << "a client that knows its address from before";
}

TEST_F(DhcpTest, HearsThatAClientChoseAnotherServerOrLeaves) {
    (void)ask({});
    EXPECT_FALSE(ask({.type = DhcpType::request, .requested = kFirst, .server = 0x01020304}));
    EXPECT_EQ(server_.leases().find(test_mac(1)), nullptr);
    lease(1);
    EXPECT_FALSE(ask({.type = DhcpType::release}));
    EXPECT_EQ(server_.leases().find(test_mac(1)), nullptr);
}

TEST_F(DhcpTest, KeepsAwayFromADeclinedAddress) {
    const uint32_t one = lease(1);
    EXPECT_FALSE(ask({.type = DhcpType::decline, .requested = one}));
    EXPECT_NE(lease(1), one);
    now_ += 601;
    server_.remove_expired(now_);
    EXPECT_NE(lease(2), 0U);
}

TEST_F(DhcpTest, InformsWhoHasAnAddress) {
    const auto ack = ask({.type = DhcpType::inform, .client = 0x0A0101F0});
    EXPECT_EQ(ack->type, DhcpType::ack);
    EXPECT_EQ(ack->address.value, 0U);
    EXPECT_EQ(ack->lease_seconds, 0U);
}

TEST(DhcpMessage, RefusesWhatIsMalformed) {
    const FrameBytes good = dhcp_message({.host_name = "a"});
    EXPECT_TRUE(parse_dhcp(good));
    for (size_t size = 0; size < 243; ++size)
        EXPECT_FALSE(parse_dhcp(std::span(good).first(size))) << size;
    const auto changed = [&](size_t at, uint8_t value) {
        FrameBytes bad = good;
        bad[at] = std::byte{value};
        return parse_dhcp(bad);
    };
    EXPECT_FALSE(changed(0, 2)) << "a server's";
    EXPECT_FALSE(changed(24, 10)) << "through a relay";
    EXPECT_FALSE(changed(236, 0)) << "BOOTP";
    EXPECT_FALSE(changed(241, 200)) << "an option beyond the end";
    EXPECT_FALSE(changed(242, 9)) << "no such type";
}

TEST(DhcpMessage, TakesOnlyHostNames) {
    EXPECT_EQ(as_host_name("Web-1"), "web-1");
    EXPECT_EQ(as_host_name(std::string_view("a\0", 2)), "a");
    for (const char* text : {"", "-a", "a.b", "a b", "\xC3\xA4"})
        EXPECT_EQ(as_host_name(text), "") << text;
    EXPECT_EQ(as_host_name(std::string(64, 'a')), "");
}

}  // namespace
}  // namespace banyan
