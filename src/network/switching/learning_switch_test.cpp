#include "network/switching/learning_switch.hpp"

#include <gtest/gtest.h>

#include "network/packets/testing/packet_builder.hpp"

namespace banyan {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

class RecordingSink final : public SwitchSink {
public:
    bool deliver(const NetFrame& frame) override {
        if (full) return false;
        frames.push_back(whole(frame));
        infos.push_back(frame.info);
        return true;
    }
    SinkRoom room() const override { return left; }

    std::vector<FrameBytes> frames;
    std::vector<NetFrameInfo> infos;
    bool full = false;
    SinkRoom left = SinkRoom::plenty;
};

// Ports 0 to 3; test_mac(n + 1) is what belongs to port n.
class LearningSwitchTest : public testing::Test {
protected:
    void add(size_t ports, const SwitchPortConfig& config = {}) {
        for (size_t i = 0; i < ports; ++i)
            add_port(config);
    }
    SwitchPortId add_port(const SwitchPortConfig& config) {
        sinks_.push_back(std::make_unique<RecordingSink>());
        return switch_.add_port(config, *sinks_.back()).value();
    }
    SwitchPortConfig owning(uint8_t last) { return {.mac = test_mac(last)}; }
    void send(SwitchPortId from, const FrameBytes& frame, NetFrameInfo info = {}) {
        switch_.forward(from, WholeFrame(frame, info).get(), now_);
    }
    FrameBytes frame(uint8_t to, uint8_t from) {
        return ethernet_frame(test_mac(to), test_mac(from), 0x88B5, counting_bytes(50));
    }
    RecordingSink& sink(size_t port) { return *sinks_[port]; }
    std::vector<size_t> received() {
        std::vector<size_t> counts;
        for (const auto& one : sinks_)
            counts.push_back(one->frames.size());
        return counts;
    }
    uint64_t dropped(SwitchPortId port, SwitchDrop reason) {
        return switch_.counters(port).dropped(reason);
    }

    LearningSwitch switch_{true};
    std::vector<std::unique_ptr<RecordingSink>> sinks_;
    uint64_t now_ = 0;
};

using Counts = std::vector<size_t>;

TEST_F(LearningSwitchTest, FloodsUntilItHasLearned) {
    add(3);
    send(0, frame(2, 1));
    EXPECT_EQ(received(), (Counts{0, 1, 1}));
    send(1, frame(1, 2));
    EXPECT_EQ(received(), (Counts{1, 1, 1}));
    send(0, frame(2, 1));
    EXPECT_EQ(received(), (Counts{1, 2, 1}));
    EXPECT_EQ(sink(1).frames[1], frame(2, 1));
    EXPECT_EQ(switch_.counters(0).received_frames, 2U);
    EXPECT_EQ(switch_.counters(1).sent_frames, 2U);
    EXPECT_EQ(switch_.counters(1).sent_bytes, 2 * frame(2, 1).size());
}

TEST_F(LearningSwitchTest, SendsBroadcastsAndMulticastsToAllOthers) {
    add(3);
    send(1, ethernet_frame(kBroadcastMac, test_mac(2), 0x88B5));
    send(1, ethernet_frame({{0x33, 0x33, 0, 0, 0, 1}}, test_mac(2), 0x88B5));
    EXPECT_EQ(received(), (Counts{2, 0, 2}));
}

TEST_F(LearningSwitchTest, DoesNotSendBackWhereItCameFrom) {
    add(2);
    send(0, frame(9, 1));
    send(0, frame(1, 9));
    EXPECT_EQ(received(), (Counts{0, 1})) << "the second is between two on one port";
}

TEST_F(LearningSwitchTest, ForgetsTheSilentAndTheGone) {
    add(3);
    send(1, frame(1, 2));
    now_ += MacTable::kAgeingNs;
    switch_.forget_silent(now_);
    send(0, frame(2, 1));
    EXPECT_EQ(received(), (Counts{1, 1, 2}));
    switch_.remove_port(0);
    send(1, frame(1, 2));
    EXPECT_EQ(received(), (Counts{1, 1, 3}));
}

TEST_F(LearningSwitchTest, DropsWhatIsMalformedOrReserved) {
    add(2);
    send(0, FrameBytes(13));
    send(0, ethernet_frame(test_mac(2), kBroadcastMac, 0x88B5));
    send(0, frame(2, 1), {.needs_checksum = true, .checksum_start = 60, .checksum_offset = 10});
    EXPECT_EQ(dropped(0, SwitchDrop::malformed), 3U);
    send(0, ethernet_frame({{0x01, 0x80, 0xC2, 0, 0, 0x0E}}, test_mac(1), 0x88CC));
    EXPECT_EQ(dropped(0, SwitchDrop::reserved), 1U);
    EXPECT_EQ(received(), (Counts{0, 0}));
}

TEST_F(LearningSwitchTest, PassesSegmentedFramesWhole) {
    add(2);
    const FrameBytes large =
        ethernet_frame(test_mac(2), test_mac(1), 0x0800, counting_bytes(60000));
    const NetFrameInfo info{.needs_checksum = true,
                            .checksum_start = 34,
                            .checksum_offset = 16,
                            .segmentation = NetFrameInfo::Segmentation::tcp4,
                            .segment_size = 1448};
    send(0, large, info);
    ASSERT_EQ(sink(1).frames.size(), 1U);
    EXPECT_EQ(sink(1).frames[0], large);
    EXPECT_EQ(sink(1).infos[0].segment_size, 1448);
}

TEST_F(LearningSwitchTest, TakesFramesInAnyParts) {
    add(2);
    const FrameBytes bytes = ethernet_frame(test_mac(2), test_mac(1), 0x88B5, counting_bytes(400));
    std::vector<std::span<const std::byte>> parts;
    for (size_t at = 0; at < bytes.size(); at += 9)
        parts.push_back(std::span(bytes).subspan(at, std::min<size_t>(9, bytes.size() - at)));
    switch_.forward(0, {parts, bytes.size(), {}}, 0);
    ASSERT_EQ(sink(1).frames.size(), 1U);
    EXPECT_EQ(sink(1).frames[0], bytes);
    switch_.forward(0, {std::span(parts).first(3), bytes.size(), {}}, 0);
    EXPECT_EQ(dropped(0, SwitchDrop::malformed), 1U) << "fewer bytes than it says";
}

TEST_F(LearningSwitchTest, KeepsAddressesToTheirPorts) {
    add_port(owning(1));
    add_port(owning(2));
    add(1);
    send(0, frame(2, 3));
    EXPECT_EQ(dropped(0, SwitchDrop::spoofed_mac), 1U);
    send(2, frame(2, 1));
    EXPECT_EQ(dropped(2, SwitchDrop::spoofed_mac), 1U) << "a port without an own address, too";
    EXPECT_EQ(received(), (Counts{0, 0, 0}));
    RecordingSink other;
    EXPECT_EQ(switch_.add_port(owning(1), other).error().code(), ErrorCode::busy);
    EXPECT_EQ(switch_.owner_of(test_mac(2)), 1);
    switch_.remove_port(0);
    EXPECT_TRUE(switch_.add_port(owning(1), other));
}

TEST_F(LearningSwitchTest, GuardsIpv4AndArp) {
    add_port(owning(1));
    add(1);
    const FrameBytes spoofed = udp_frame({.source = 0x0A000009}, 5, 6, {});
    const FrameBytes own = udp_frame({.source = 0x0A000001}, 5, 6, {});
    send(0, spoofed);
    EXPECT_EQ(received(), (Counts{0, 1})) << "no lease is known";
    switch_.set_ipv4(0, Ipv4Address{0x0A000001});
    send(0, spoofed);
    send(0, own);
    send(0, udp_frame({.source = 0}, 68, 67, {}));
    EXPECT_EQ(received(), (Counts{0, 3}));
    EXPECT_EQ(dropped(0, SwitchDrop::spoofed_ipv4), 1U);

    ArpPacket arp;
    arp.sender_mac = test_mac(1);
    arp.sender_ip = uint32_t{0x0A000001};
    send(0, arp_frame(test_mac(1), arp));
    arp.sender_ip = uint32_t{0};
    send(0, arp_frame(test_mac(1), arp));
    EXPECT_EQ(received(), (Counts{0, 5}));
    arp.sender_ip = uint32_t{0x0A000063};
    send(0, arp_frame(test_mac(1), arp));
    EXPECT_EQ(dropped(0, SwitchDrop::spoofed_ipv4), 2U);
    arp.sender_mac = test_mac(7);
    send(0, arp_frame(test_mac(1), arp));
    EXPECT_EQ(dropped(0, SwitchDrop::spoofed_mac), 1U);
    EXPECT_EQ(received(), (Counts{0, 5}));
}

TEST_F(LearningSwitchTest, LetsOnlyItsOwnServerAnswerDhcp) {
    add_port(owning(1));
    add_port({.mac = test_mac(2), .serves_dhcp = true});
    const FrameBytes answer = udp_frame({.from = test_mac(1)}, 67, 68, {});
    send(0, answer);
    EXPECT_EQ(dropped(0, SwitchDrop::dhcp_server), 1U);
    send(1, udp_frame({.from = test_mac(2)}, 67, 68, {}));
    EXPECT_EQ(received(), (Counts{1, 0}));
}

// RFC 4861, 4.4: an advertisement of the target, with its sender's link address.
FrameBytes neighbour_frame(uint8_t type, uint8_t target, MacAddress link, uint8_t option) {
    FrameBytes icmp(8 + 16);
    icmp[0] = std::byte{type};
    icmp[8] = std::byte{0xFE};
    icmp[23] = std::byte{target};
    append_object(icmp, std::array<uint8_t, 2>{option, 1});
    append_object(icmp, link);
    return icmp;
}

struct Ipv6Sender {
    uint8_t mac = 1;
    uint8_t address = 1;  // 0: unspecified
};

FrameBytes ipv6_from(Ipv6Sender sender, uint8_t next_header, std::span<const std::byte> transport) {
    FrameBytes frame = ipv6_frame(next_header, transport);
    put_header(frame, 6, test_mac(sender.mac));
    Ipv6Address source{};
    if (sender.address != 0) source[0] = std::byte{0xFE};
    source[15] = std::byte{sender.address};
    put_header(frame, 14 + 8, source);
    put_header(frame, 0, kBroadcastMac);
    return frame;
}

constexpr uint8_t kIcmp6 = 58;
constexpr uint8_t kSolicitation = 135;
constexpr uint8_t kAdvertisement = 136;

TEST_F(LearningSwitchTest, GuardsNeighbourDiscovery) {
    add_port(owning(1));
    add_port(owning(2));
    const auto says = [this](Ipv6Sender sender, uint8_t type, uint8_t target, uint8_t link) {
        const uint8_t option = type == kAdvertisement ? 2 : 1;
        send(static_cast<SwitchPortId>(sender.mac - 1),
             ipv6_from(sender, kIcmp6, neighbour_frame(type, target, test_mac(link), option)));
    };
    says({1, 0}, kSolicitation, 7, 1);  // asks whether it is free
    says({1, 7}, kAdvertisement, 7, 1);
    EXPECT_EQ(received(), (Counts{0, 2}));
    says({2, 8}, kSolicitation, 7, 2);
    EXPECT_EQ(received(), (Counts{1, 2})) << "who asks claims nothing but its source";
    says({2, 8}, kAdvertisement, 7, 2);
    says({2, 7}, kSolicitation, 9, 2);
    says({2, 0}, kSolicitation, 7, 2);
    EXPECT_EQ(dropped(1, SwitchDrop::spoofed_ipv6), 3U);
    says({2, 8}, kAdvertisement, 8, 1);
    EXPECT_EQ(dropped(1, SwitchDrop::spoofed_mac), 1U) << "of another's link address";
    EXPECT_EQ(received(), (Counts{1, 2}));
    send(1, ipv6_from({2, 7}, ip_protocol::kTcp, bytes_of(TcpHeader{})));
    EXPECT_EQ(dropped(1, SwitchDrop::spoofed_ipv6), 4U) << "and it sends nothing from there";
    switch_.remove_port(0);
    says({2, 7}, kAdvertisement, 7, 2);
    EXPECT_EQ(dropped(1, SwitchDrop::spoofed_ipv6), 4U) << "free again";
}

TEST_F(LearningSwitchTest, LetsOnlyItsRouterAdvertise) {
    add_port(owning(1));
    add_port({.routes_ipv6 = true});
    FrameBytes advertisement(16);
    advertisement[0] = std::byte{134};
    const FrameBytes plain = ipv6_from({1, 1}, kIcmp6, advertisement);
    send(0, plain);
    FrameBytes hidden(8);  // options for the destination before it
    hidden[0] = std::byte{kIcmp6};
    hidden.insert(hidden.end(), advertisement.begin(), advertisement.end());
    send(0, ipv6_from({1, 1}, 60, hidden));
    FrameBytes fragment(8);
    fragment[0] = std::byte{60};
    fragment.insert(fragment.end(), hidden.begin(), hidden.end());
    send(0, ipv6_from({1, 1}, 44, fragment));
    EXPECT_EQ(dropped(0, SwitchDrop::router), 3U);
    FrameBytes long_chain(8);
    long_chain[0] = std::byte{kIcmp6};
    long_chain[1] = std::byte{20};  // more than is looked at
    long_chain.resize(200);
    send(0, ipv6_from({1, 1}, 60, long_chain));
    EXPECT_EQ(dropped(0, SwitchDrop::malformed), 1U);
    EXPECT_EQ(received(), (Counts{0, 0}));
    send(1, ipv6_from({9, 9}, kIcmp6, advertisement));
    EXPECT_EQ(received(), (Counts{1, 0}));
}

TEST_F(LearningSwitchTest, TheRoutersAddressIsNobodyElses) {
    add_port(owning(1));
    add_port({.routes_ipv6 = true});
    const FrameBytes own = neighbour_frame(kAdvertisement, 5, test_mac(1), 2);
    send(0, ipv6_from({1, 5}, kIcmp6, own));
    EXPECT_EQ(received(), (Counts{0, 1})) << "it was the first";
    send(1, ipv6_from({9, 5}, kIcmp6, neighbour_frame(kAdvertisement, 5, test_mac(9), 2)));
    send(0, ipv6_from({1, 5}, kIcmp6, own));
    EXPECT_EQ(dropped(0, SwitchDrop::spoofed_ipv6), 1U);
    EXPECT_EQ(received(), (Counts{1, 1}));
}

TEST_F(LearningSwitchTest, LetsOnlyItsOwnServerAnswerDhcp6) {
    add_port(owning(1));
    add_port({.mac = test_mac(2), .serves_dhcp = true});
    const FrameBytes answer =
        bytes_of(UdpHeader{uint16_t{547}, uint16_t{546}, uint16_t{8}, uint16_t{0}});
    send(0, ipv6_from({1, 1}, ip_protocol::kUdp, answer));
    EXPECT_EQ(dropped(0, SwitchDrop::dhcp_server), 1U);
    send(1, ipv6_from({2, 2}, ip_protocol::kUdp, answer));
    EXPECT_EQ(received(), (Counts{1, 0}));
}

TEST_F(LearningSwitchTest, RemembersSoManyAddressesOfAPort) {
    add_port(owning(1));
    add_port(owning(2));
    const auto use = [this](SwitchPortId port, uint8_t address) {
        send(port, ipv6_from({static_cast<uint8_t>(port + 1), address}, ip_protocol::kTcp,
                             bytes_of(TcpHeader{})));
    };
    for (uint8_t i = 1; i <= Ipv6Owners::kMostOfPort + 1; ++i)
        use(0, i);
    use(1, 2);
    EXPECT_EQ(dropped(1, SwitchDrop::spoofed_ipv6), 1U);
    use(1, 1);
    EXPECT_EQ(dropped(1, SwitchDrop::spoofed_ipv6), 1U) << "the oldest is free again";
}

TEST_F(LearningSwitchTest, ShowsWhatPasses) {
    struct Observer final : SwitchObserver {
        void on_frame_from(SwitchPortId port, const NetFrame&) override { from.push_back(port); }
        void on_frame_to(SwitchPortId port, const NetFrame&) override { to.push_back(port); }
        std::vector<SwitchPortId> from, to;
    } observer;
    add_port(owning(1));
    add(2);
    switch_.set_observer(&observer);
    send(0, frame(2, 1));
    send(0, frame(2, 3));  // spoofed
    switch_.set_observer(nullptr);
    send(0, frame(2, 1));
    EXPECT_EQ(observer.from, (std::vector<SwitchPortId>{0}));
    EXPECT_EQ(observer.to, (std::vector<SwitchPortId>{1, 2}));
}

TEST_F(LearningSwitchTest, KeepsVlansApart) {
    add_port({.vlan = 10});
    add_port({.vlan = 20});
    add_port({.vlan = 10});
    add_port({.vlan = 1, .tagged_vlans = {10, 20}});
    send(0, ethernet_frame(kBroadcastMac, test_mac(1), 0x88B5, counting_bytes(50)));
    EXPECT_EQ(received(), (Counts{0, 0, 1, 1}));
    EXPECT_EQ(sink(3).frames[0], tagged_frame(kBroadcastMac, test_mac(1), 10, counting_bytes(50)));
    send(3, tagged_frame(test_mac(1), test_mac(4), 10, counting_bytes(50)));
    EXPECT_EQ(received(), (Counts{1, 0, 1, 1}));
    EXPECT_EQ(sink(0).frames[0], frame(1, 4));
    send(3, tagged_frame(test_mac(1), test_mac(4), 20));
    EXPECT_EQ(received(), (Counts{1, 1, 1, 1})) << "not learned in that VLAN";
    send(3, tagged_frame(test_mac(1), test_mac(4), 30));
    send(0, tagged_frame(test_mac(4), test_mac(1), 10));
    EXPECT_EQ(dropped(3, SwitchDrop::vlan), 1U);
    EXPECT_EQ(dropped(0, SwitchDrop::vlan), 1U) << "tags are for trunks";
    send(0, tagged_frame(kBroadcastMac, test_mac(1), 0, counting_bytes(50)));
    EXPECT_EQ(received(), (Counts{1, 1, 2, 2})) << "a priority is no VLAN";
}

TEST_F(LearningSwitchTest, LeavesRoomForATag) {
    add_port({});
    add_port({.vlan = 0, .tagged_vlans = {1}});
    const auto send_of_size = [&](size_t size) {
        send(0, ethernet_frame(kBroadcastMac, test_mac(1), 0x0800,
                               FrameBytes(size - kEthernetHeaderSize)));
    };
    send_of_size(kLargestNetFrame - 3);
    EXPECT_EQ(dropped(0, SwitchDrop::malformed), 1U);
    send_of_size(kLargestNetFrame - 4);
    ASSERT_EQ(sink(1).frames.size(), 1U);
    EXPECT_EQ(sink(1).frames[0].size(), kLargestNetFrame);
}

TEST_F(LearningSwitchTest, MovesChecksumsWithTags) {
    add_port({.vlan = 10});
    add_port({.vlan = 0, .tagged_vlans = {10}});
    const NetFrameInfo info{.needs_checksum = true, .checksum_start = 34, .checksum_offset = 6};
    const FrameBytes plain = udp_frame({}, 1, 2, counting_bytes(20));
    send(0, plain, info);
    ASSERT_EQ(sink(1).infos.size(), 1U);
    EXPECT_EQ(sink(1).infos[0].checksum_start, 38);
    const FrameBytes tagged = sink(1).frames[0];
    FrameBytes back = tagged;
    put_header(back, 6, test_mac(2));
    send(1, back, sink(1).infos[0]);
    ASSERT_EQ(sink(0).infos.size(), 1U);
    EXPECT_EQ(sink(0).infos[0].checksum_start, 34);
    send(1, plain);
    EXPECT_EQ(dropped(1, SwitchDrop::vlan), 1U) << "it takes only what has a tag";
}

TEST_F(LearningSwitchTest, IsolatesPortsFromEachOther) {
    add_port({.isolated = true});
    add_port({.isolated = true});
    add_port({});
    send(0, ethernet_frame(kBroadcastMac, test_mac(1), 0x88B5));
    send(1, ethernet_frame(kBroadcastMac, test_mac(2), 0x88B5));
    EXPECT_EQ(received(), (Counts{0, 0, 2}));
    send(0, frame(2, 1));
    EXPECT_EQ(dropped(0, SwitchDrop::isolated), 1U);
    send(2, frame(1, 3));
    EXPECT_EQ(received(), (Counts{1, 0, 2}));
}

TEST_F(LearningSwitchTest, LimitsTheRateOfAPort) {
    add_port({.bytes_per_second = 10'000'000});
    add(1);
    send(1, frame(1, 2));
    const FrameBytes large = ethernet_frame(test_mac(2), test_mac(1), 0x88B5, counting_bytes(9986));
    uint64_t passed = 0;
    for (int tenth = 0; tenth < 10; ++tenth) {
        now_ += kSecond / 10;
        for (int i = 0; i < 200; ++i)
            send(0, large);
    }
    passed = switch_.counters(1).sent_bytes;
    EXPECT_GE(passed, 9'900'000U);
    EXPECT_LE(passed, 12'000'000U) << "a second's bytes and a burst";
    EXPECT_EQ(dropped(0, SwitchDrop::rate), 2000 - passed / 10'000);
}

TEST_F(LearningSwitchTest, LimitsWhatGoesToAll) {
    add_port({.flooded_per_second = 5000});
    add(1);
    for (int i = 0; i < 4000; ++i)
        send(0, ethernet_frame(kBroadcastMac, test_mac(1), 0x88B5));
    EXPECT_EQ(received()[1], 1000U) << "a burst";
    now_ += kSecond / 10;
    for (int i = 0; i < 4000; ++i)
        send(0, ethernet_frame(kBroadcastMac, test_mac(1), 0x88B5));
    EXPECT_EQ(received()[1], 1500U);
    EXPECT_EQ(dropped(0, SwitchDrop::storm), 6500U);
    send(1, frame(1, 2));
    send(0, frame(2, 1));
    EXPECT_EQ(received()[1], 1501U) << "what has one receiver is not held up";
}

TEST_F(LearningSwitchTest, LeavesRoomOfACrowdedReceiverToTheOthers) {
    add(3);
    send(2, frame(9, 3));
    sink(2).frames.clear();
    for (int i = 0; i < 1000; ++i)
        send(0, frame(3, 1));
    sink(2).left = SinkRoom::crowded;
    send(0, frame(3, 1));
    EXPECT_EQ(dropped(0, SwitchDrop::share), 0U) << "the only sender may use all of it";
    for (int i = 0; i < 10; ++i)
        send(1, frame(3, 2));
    send(0, frame(3, 1));
    EXPECT_EQ(dropped(0, SwitchDrop::share), 1U);
    EXPECT_EQ(dropped(1, SwitchDrop::share), 0U);
    EXPECT_EQ(received()[2], 1011U);
    now_ += kSecond;
    for (int i = 0; i < 20; ++i) {
        now_ += kSecond / 100;
        send(1, frame(3, 2));
    }
    send(0, frame(3, 1));
    EXPECT_EQ(dropped(0, SwitchDrop::share), 1U) << "what was long ago counts no more";
}

TEST_F(LearningSwitchTest, LeavesTheLastRoomToThoseWhoSendLess) {
    add(3);
    send(2, frame(9, 3));
    sink(2).frames.clear();
    send(0, frame(3, 1));
    sink(2).left = SinkRoom::scarce;
    send(0, frame(3, 1));
    EXPECT_EQ(dropped(0, SwitchDrop::share), 1U) << "even when it is alone";
    send(1, frame(3, 2));
    EXPECT_EQ(received()[2], 2U);
}

TEST_F(LearningSwitchTest, CountsWhatFindsNoRoom) {
    add(3);
    sink(1).full = true;
    send(0, ethernet_frame(kBroadcastMac, test_mac(1), 0x88B5));
    EXPECT_EQ(received(), (Counts{0, 0, 1}));
    EXPECT_EQ(dropped(1, SwitchDrop::no_room), 1U);
    EXPECT_EQ(switch_.counters(1).sent_frames, 0U);
}

TEST_F(LearningSwitchTest, HasABoundOfPorts) {
    add(LearningSwitch::kMostPorts);
    RecordingSink one_more;
    EXPECT_EQ(switch_.add_port({}, one_more).error().code(), ErrorCode::busy);
}

TEST(SwitchDrops, HaveNames) {
    EXPECT_EQ(to_text(SwitchDrop::malformed), "malformed");
    EXPECT_EQ(to_text(SwitchDrop::no_room), "no-room");
}

}  // namespace
}  // namespace banyan
