#include "network/services/network_services.hpp"

#include <gtest/gtest.h>

#include "network/services/testing/client_packets.hpp"

namespace banyan {
namespace {

constexpr uint32_t kOwn = 0x0A010101;
constexpr size_t kUdpData = 14 + 20 + 8;
constexpr uint16_t kA = 1, kPtr = 12, kAaaa = 28;

class NetworkServicesTest : public testing::Test {
protected:
    void make(std::optional<Ipv4Address> other_dns = {}) {
        services_ =
            std::make_unique<NetworkServices>(ServicesConfig{.network = "Lab",
                                                             .mac = test_mac(0xEE),
                                                             .subnet = *parse_subnet("10.1.1.0/24"),
                                                             .other_dns = other_dns});
    }
    void SetUp() override { make(); }

    FrameBytes ask(const FrameBytes& frame) {
        FrameBytes answer;
        services_->handle(
            frame, 1000, [&](auto bytes) { answer.assign(bytes.begin(), bytes.end()); },
            [&](const MacAddress& mac, Ipv4Address address) { leased_[mac] = address; });
        return answer;
    }
    Ipv4Address lease(uint8_t last_of_mac, const std::string& host_name = "") {
        const MacAddress mac = test_mac(last_of_mac);
        const FrameBytes offer = ask(dhcp_frame({.mac = mac}));
        const uint32_t address = *header_at<be32>(offer, kUdpData + 16);
        ask(dhcp_frame({.type = DhcpType::request,
                        .mac = mac,
                        .requested = address,
                        .server = kOwn,
                        .host_name = host_name}));
        return leased_.at(mac);
    }
    // The answer's header flags and, if there is one, its record's data.
    struct Dns {
        uint16_t flags = 0;
        FrameBytes data;
    };
    Dns resolve(const std::string& name, uint16_t type) {
        const FrameBytes query = dns_query(name, type);
        const FrameBytes frame =
            ask(udp_frame({.to = test_mac(0xEE), .destination = kOwn}, 5353, 53, query));
        EXPECT_GE(frame.size(), kUdpData + query.size());
        if (frame.size() < kUdpData + query.size()) return {};
        EXPECT_EQ(header_at<UdpHeader>(frame, 34)->destination, 5353);
        EXPECT_EQ(*header_at<be16>(frame, kUdpData), 0x1234);
        Dns dns{*header_at<be16>(frame, kUdpData + 2), {}};
        const size_t record = kUdpData + query.size();
        const bool has_answer = *header_at<be16>(frame, kUdpData + 6) == 1;
        if (has_answer)
            dns.data.assign(frame.begin() + static_cast<std::ptrdiff_t>(record + 12), frame.end());
        return dns;
    }
    static constexpr uint16_t kOk = 0x8500, kNoSuchName = 0x8503, kRefused = 0x8505;

    std::unique_ptr<NetworkServices> services_;
    std::map<MacAddress, Ipv4Address> leased_;
};

TEST_F(NetworkServicesTest, AnswersArpForItselfOnly) {
    ArpPacket arp;
    arp.operation = uint16_t{1};
    arp.sender_mac = test_mac(1);
    arp.sender_ip = uint32_t{0x0A01010A};
    arp.target_ip = kOwn;
    const FrameBytes answer = ask(arp_frame(test_mac(1), arp));
    const auto reply = header_at<ArpPacket>(answer, 14);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->operation, 2);
    EXPECT_EQ(reply->sender_mac, test_mac(0xEE));
    EXPECT_EQ(reply->sender_ip, kOwn);
    EXPECT_EQ(reply->target_mac, test_mac(1));
    arp.target_ip = kOwn + 1;
    EXPECT_TRUE(ask(arp_frame(test_mac(1), arp)).empty());
}

TEST_F(NetworkServicesTest, AnswersPing) {
    IcmpHeader echo;
    echo.type = IcmpHeader::kEcho;
    echo.identifier = uint16_t{7};
    FrameBytes message = bytes_of(echo);
    const FrameBytes data = counting_bytes(57);
    message.insert(message.end(), data.begin(), data.end());
    const FrameBytes answer =
        ask(ipv4_frame({.to = test_mac(0xEE), .destination = kOwn, .protocol = 1}, message));
    ASSERT_EQ(answer.size(), 34 + message.size());
    EXPECT_EQ(header_at<IcmpHeader>(answer, 34)->type, 0);
    EXPECT_EQ(plain_sum(std::span(answer).subspan(14, 20)), 0xFFFF);
    EXPECT_EQ(plain_sum(std::span(answer).subspan(34)), 0xFFFF);
    EXPECT_EQ(header_at<Ipv4Header>(answer, 14)->destination, 0x0A000001U);
}

TEST_F(NetworkServicesTest, LeasesAddresses) {
    const Ipv4Address address = lease(1, "web");
    EXPECT_TRUE(parse_subnet("10.1.1.0/24")->contains(address));
    EXPECT_GE(address.value, kOwn + 9);
    EXPECT_EQ(services_->leases().all().size(), 1U);
    DhcpClientMessage of_another{.mac = test_mac(2)};
    FrameBytes frame = dhcp_frame(of_another);
    put_header(frame, 6, test_mac(3));
    EXPECT_TRUE(ask(frame).empty()) << "an address for somebody else";
}

TEST_F(NetworkServicesTest, SendsRepliesWhereTheClientHearsThem) {
    FrameBytes offer = ask(dhcp_frame({}));
    EXPECT_EQ(header_at<EthernetHeader>(offer, 0)->destination, test_mac(1));
    offer = ask(dhcp_frame({.broadcast = true}));
    EXPECT_EQ(header_at<EthernetHeader>(offer, 0)->destination, kBroadcastMac);
    EXPECT_EQ(header_at<Ipv4Header>(offer, 14)->destination, 0xFFFFFFFFU);
    const FrameBytes nak = ask(dhcp_frame({.type = DhcpType::request, .requested = 0x01020304}));
    EXPECT_EQ(header_at<EthernetHeader>(nak, 0)->destination, kBroadcastMac);
    EXPECT_TRUE(leased_.empty());
}

TEST_F(NetworkServicesTest, KnowsTheNamesOfItsMembers) {
    const FrameBytes web = bytes_of(be32(lease(1, "web").value));
    const FrameBytes data = bytes_of(be32(lease(2, "Other").value));
    services_->add_member(test_mac(2), "Data");
    EXPECT_EQ(resolve("web", kA).data, web);
    EXPECT_EQ(resolve("WEB.lab", kA).data, web);
    EXPECT_EQ(resolve("data.lab", kA).data, data) << "the name of the VM";
    EXPECT_EQ(resolve("other", kA).flags, kNoSuchName);
    EXPECT_EQ(resolve("nobody", kA).flags, kNoSuchName);
    EXPECT_EQ(resolve("web.lab", kAaaa).flags, kOk);
    EXPECT_TRUE(resolve("web.lab", kAaaa).data.empty());
    EXPECT_EQ(resolve("a.web.lab", kA).flags, kNoSuchName);
    EXPECT_EQ(resolve("example.org", kA).flags, kNoSuchName);
}

TEST_F(NetworkServicesTest, DoesNotLetAHostNameTakeAMembersName) {
    const Ipv4Address real = lease(2);
    services_->add_member(test_mac(2), "data");
    lease(1, "data");
    EXPECT_EQ(resolve("data", kA).data, bytes_of(be32(real.value)));
    services_->remove_member(test_mac(2));
    EXPECT_EQ(resolve("data", kA).data, bytes_of(be32(leased_.at(test_mac(1)).value)));
}

TEST_F(NetworkServicesTest, KnowsNamesOfAddresses) {
    const uint32_t address = lease(1, "web").value;
    const std::string reverse = to_text(Ipv4Address{swap_bytes(address)}) + ".in-addr.arpa";
    const FrameBytes expected{std::byte{3},   std::byte{'w'}, std::byte{'e'},
                              std::byte{'b'}, std::byte{3},   std::byte{'l'},
                              std::byte{'a'}, std::byte{'b'}, std::byte{0}};
    EXPECT_EQ(resolve(reverse, kPtr).data, expected);
    EXPECT_EQ(resolve("200.1.1.10.in-addr.arpa", kPtr).flags, kNoSuchName);
}

TEST_F(NetworkServicesTest, LeavesTheWorldToTheOtherServer) {
    make(Ipv4Address{0x0A010103});
    EXPECT_EQ(resolve("example.org", kA).flags, kRefused);
    EXPECT_EQ(resolve("1.1.1.1.in-addr.arpa", kPtr).flags, kRefused);
    EXPECT_EQ(resolve("nobody.lab", kA).flags, kNoSuchName);
}

TEST_F(NetworkServicesTest, AnswersQueriesThatAreNone) {
    const auto flags_of = [&](FrameBytes query) {
        const FrameBytes answer =
            ask(udp_frame({.to = test_mac(0xEE), .destination = kOwn}, 5353, 53, query));
        return answer.empty() ? uint16_t{0} : uint16_t{*header_at<be16>(answer, kUdpData + 2)};
    };
    FrameBytes query = dns_query("web", kA);
    query[2] = std::byte{0x28};
    EXPECT_EQ(flags_of(query) & 0xF, 4) << "another operation";
    query = dns_query("web", kA);
    query[5] = std::byte{2};
    EXPECT_EQ(flags_of(query) & 0xF, 1) << "two questions";
    query = dns_query("web", kA);
    query[12] = std::byte{0xC0};
    EXPECT_EQ(flags_of(query) & 0xF, 1) << "a pointer";
    query = dns_query("web", kA);
    query[2] = std::byte{0x80};
    EXPECT_EQ(flags_of(query), 0) << "an answer";
    const FrameBytes whole_query = dns_query("web", kA);
    for (size_t size = 12; size < whole_query.size(); ++size) {
        const auto cut = std::span(whole_query).first(size);
        EXPECT_EQ(flags_of({cut.begin(), cut.end()}) & 0xF, 1) << size;
    }
}

TEST_F(NetworkServicesTest, IgnoresWhatIsNotForIt) {
    const FrameBytes query = dns_query("web", kA);
    EXPECT_TRUE(ask(udp_frame({.to = test_mac(9), .destination = kOwn}, 1, 53, query)).empty());
    EXPECT_TRUE(ask(udp_frame({.to = test_mac(0xEE), .destination = kOwn}, 1, 54, query)).empty());
    EXPECT_TRUE(ask(FrameBytes(5)).empty());
    FrameBytes cut = udp_frame({.to = test_mac(0xEE), .destination = kOwn}, 1, 53, query);
    cut.resize(cut.size() - 1);
    EXPECT_TRUE(ask(cut).empty()) << "shorter than its header says";
}

}  // namespace
}  // namespace banyan
