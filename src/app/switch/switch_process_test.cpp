// Members and their switch as they are used: a process, its sockets, rings and ends.
#include <csignal>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "app/switch/testing/test_network.hpp"
#include "backends/net/frame_record_reader.hpp"
#include "host/posix/unix_address.hpp"
#include "network/port/stream_framing.hpp"
#include "network/services/testing/client_packets.hpp"

namespace banyan {
namespace {

using Segmentation = NetFrameInfo::Segmentation;

class SwitchProcessTest : public testing::Test {
protected:
    void SetUp() override { networks_.create({.name = "lab", .subnet = {}, .members = {}}); }

    static void kill_and_wait(pid_t pid) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }

    TestNetworks networks_;
};

std::string quoted(const std::string& text) {
    return "\"" + text + "\"";
}

FrameBytes tcp_frame(const MacAddress& to, const MacAddress& from, size_t data) {
    FrameBytes tcp = bytes_of(TcpHeader{});
    const FrameBytes payload = counting_bytes(data);
    tcp.insert(tcp.end(), payload.begin(), payload.end());
    return ipv4_frame({.to = to, .from = from, .protocol = ip_protocol::kTcp}, tcp);
}

NetFrameInfo tcp_info() {
    return {.needs_checksum = true,
            .checksum_start = 34,
            .checksum_offset = 16,
            .segmentation = Segmentation::tcp4,
            .segment_size = 1448};
}

TEST_F(SwitchProcessTest, CarriesFramesBetweenTwo) {
    TestMember one("lab", 1), two("lab", 2);
    EXPECT_TRUE(one.port().link_up());
    one.broadcast();
    ASSERT_TRUE(two.has_frames(1));
    two.send_to(one, 1500);
    ASSERT_TRUE(one.has_frames(1));
    EXPECT_EQ(one.take_frames()[0],
              ethernet_frame(one.mac(), two.mac(), 0x88B5, counting_bytes(1500)));
    EXPECT_EQ(networks_.port("lab", "vm-1", "/mac"), quoted(to_text(one.mac())));
    EXPECT_EQ(networks_.port("lab", "vm-1", "/received_frames"), "1");
    EXPECT_EQ(networks_.port("lab", "vm-1", "/sent_frames"), "1");
    EXPECT_EQ(networks_.port("lab", "vm-1", "/sent_bytes"), "1514");
}

TEST_F(SwitchProcessTest, CarriesFramesAmongEight) {
    constexpr size_t kMembers = 8, kFrames = 50;
    std::vector<std::unique_ptr<TestMember>> members;
    for (uint8_t i = 1; i <= kMembers; ++i)
        members.push_back(std::make_unique<TestMember>("lab", i));
    for (auto& member : members)
        member->broadcast();
    for (auto& member : members) {
        ASSERT_TRUE(member->has_frames(kMembers - 1));
        member->take_frames();
    }
    for (size_t i = 0; i < kFrames; ++i) {
        for (auto& from : members) {
            for (auto& to : members) {
                if (from != to) from->send_to(*to, 46 + i);
            }
        }
    }
    for (auto& to : members) {
        ASSERT_TRUE(to->has_frames(kFrames * (kMembers - 1)));
        for (auto& from : members)
            EXPECT_EQ(to->count_from(from->mac()), from == to ? 0 : kFrames);
    }
}

TEST_F(SwitchProcessTest, PassesSegmentedFramesToWhoTakesThem) {
    TestMember one("lab", 1), two("lab", 2, {.checksum = true, .tcp4 = true});
    const FrameBytes large = tcp_frame(two.mac(), one.mac(), 60'000);
    for (int i = 0; i < 50; ++i)
        one.send(large, tcp_info());
    ASSERT_TRUE(two.has_frames(1));
    EXPECT_EQ(two.infos()[0].segment_size, 1448);
    EXPECT_EQ(two.take_frames()[0], large);
}

TEST_F(SwitchProcessTest, SegmentsForWhoDoesNot) {
    TestMember one("lab", 1), two("lab", 2);
    one.send(tcp_frame(two.mac(), one.mac(), 10'000), tcp_info());
    ASSERT_TRUE(two.has_frames(7));
    for (const FrameBytes& segment : two.take_frames()) {
        EXPECT_LE(segment.size(), 1514U);
        EXPECT_EQ(transport_sum(segment), 0xFFFF);
    }
}

TEST_F(SwitchProcessTest, KeepsFramesForADeviceThatHasNoRoom) {
    TestMember one("lab", 1), two("lab", 2);
    two.set_room(3);
    for (int i = 0; i < 5; ++i)
        one.send_to(two);
    one.send(tcp_frame(two.mac(), one.mac(), 10'000), tcp_info());
    ASSERT_TRUE(two.has_frames(3));
    two.set_room(4);
    ASSERT_TRUE(two.has_frames(7)) << "two, and two segments";
    two.set_room(100);
    ASSERT_TRUE(two.has_frames(12));
    EXPECT_EQ(two.take_frames().size(), 12U);
}

TEST_F(SwitchProcessTest, LetsAFlooderHarmNobody) {
    TestMember flooder("lab", 1), victim("lab", 2), other("lab", 3);
    victim.broadcast();
    ASSERT_TRUE(other.has_frames(1));
    std::atomic<bool> stop{false};
    std::thread flood([&] {
        while (!stop) {
            for (int i = 0; i < 50; ++i)
                flooder.send_to(victim, 1400);
            flooder.broadcast();
        }
    });
    EXPECT_TRUE(comes_true([&] { return victim.count_from(flooder.mac()) > 1000; }));
    for (int i = 0; i < 500; ++i)
        other.send_to(victim);
    EXPECT_TRUE(comes_true([&] { return victim.count_from(other.mac()) == 500; }));
    stop = true;
    flood.join();
    EXPECT_EQ(networks_.port("lab", "vm-3", "/drops/share"), "0");
}

TEST_F(SwitchProcessTest, KeepsSpoofedFramesFromAll) {
    TestMember spoofer("lab", 1), victim("lab", 2), other("lab", 3);
    spoofer.send(ethernet_frame(kBroadcastMac, other.mac(), 0x88B5));
    spoofer.broadcast();
    ASSERT_TRUE(victim.has_frames(1));
    EXPECT_EQ(victim.count_from(spoofer.mac()), 1U);
    victim.send_to(other);
    ASSERT_TRUE(comes_true([&] { return other.count_from(victim.mac()) == 1; }));
    EXPECT_EQ(networks_.port("lab", "vm-1", "/drops/spoofed-mac"), "1");
}

TEST_F(SwitchProcessTest, RefusesASecondMemberWithTheSameAddress) {
    TestMember one("lab", 1);
    auto loop = EventLoop::create().value();
    const auto second = SwitchPort::create(*loop, {.socket = TestNetworks::paths("lab").port,
                                                   .hello = {.name = "other", .mac = one.mac()}});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::busy);
}

// A process that joins, and is killed while it sends.
TEST_F(SwitchProcessTest, GoesOnWhenAMemberDies) {
    const pid_t dying = ::fork();
    if (dying == 0) {
        TestMember member("lab", 9);
        for (;;)
            member.broadcast();
    }
    TestMember one("lab", 1), two("lab", 2);
    EXPECT_TRUE(comes_true([&] { return one.count_from(test_mac(9)) > 100; }));
    kill_and_wait(dying);
    EXPECT_TRUE(comes_true([&] { return !networks_.has_port("lab", "vm-9"); }));
    one.send_to(two);
    EXPECT_TRUE(comes_true([&] { return two.count_from(one.mac()) == 1; }));
    TestMember back("lab", 9);
    EXPECT_TRUE(back.port().link_up());
    back.send_to(two);
    EXPECT_TRUE(comes_true([&] { return two.count_from(back.mac()) > 0; }));
}

TEST_F(SwitchProcessTest, ThrowsOutAMemberThatBreaksTheProtocol) {
    TestMember one("lab", 1), two("lab", 2);
    const PortHello hello{.name = "hostile", .mac = test_mac(7)};
    const UniqueFd socket = ask_switch(TestNetworks::paths("lab").port, hello).value();
    std::unique_ptr<PortChannel> channel;
    ASSERT_TRUE(comes_true([&] {
        channel = take_welcome(socket.get()).value();
        return channel != nullptr;
    }));
    // Further than a ring's size, where its own side believes itself.
    RingControl* control = nullptr;
    {
        const auto* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
                                    channel->handles().memory.get(), 0);
        ASSERT_NE(memory, MAP_FAILED);
        control = const_cast<RingControl*>(static_cast<const RingControl*>(memory));
    }
    control->producer.position = uint64_t{1} << 40;
    channel->wake_other();
    EXPECT_TRUE(comes_true([&] { return !networks_.has_port("lab", "hostile"); }));
    one.send_to(two);
    EXPECT_TRUE(two.has_frames(1));
    ::munmap(control, 4096);
}

TEST_F(SwitchProcessTest, KeepsNetworksApart) {
    networks_.create({.name = "other", .subnet = {}, .members = {}});
    TestMember one("lab", 1), two("lab", 2), outside("other", 3), beside("other", 4);
    one.broadcast();
    outside.broadcast();
    ASSERT_TRUE(two.has_frames(1));
    ASSERT_TRUE(beside.has_frames(1));
    EXPECT_EQ(two.count_from(outside.mac()), 0U);
    EXPECT_EQ(outside.count_from(one.mac()), 0U);
    EXPECT_EQ(beside.count_from(one.mac()), 0U);
}

TEST_F(SwitchProcessTest, ComesBackAfterItWasKilled) {
    TestMember one("lab", 1), two("lab", 2);
    one.broadcast();
    ASSERT_TRUE(two.has_frames(1));
    ::kill(networks_.pid("lab"), SIGKILL);
    ASSERT_TRUE(one.has_link(false));
    ASSERT_TRUE(two.has_link(false));
    one.send_to(two);
    EXPECT_EQ(one.port().counts().dropped_link_down, 1U);
    networks_.start("lab");
    ASSERT_TRUE(one.has_link(true));
    ASSERT_TRUE(two.has_link(true));
    two.take_frames();
    one.send_to(two);
    EXPECT_TRUE(two.has_frames(1));
}

TEST_F(SwitchProcessTest, IsJoinedByWhoWasThereFirst) {
    TestMember early("later", 1);
    EXPECT_FALSE(early.port().link_up());
    networks_.create({.name = "later", .subnet = {}, .members = {}});
    EXPECT_TRUE(early.has_link(true));
}

TEST_F(SwitchProcessTest, GivesAddressesAndRemembersThem) {
    TestMember one("lab", 1);
    one.send(dhcp_frame({.mac = one.mac()}));
    ASSERT_TRUE(one.has_frames(1));
    constexpr size_t kUdpData = 42;
    const uint32_t address = *header_at<be32>(one.take_frames()[0], kUdpData + 16);
    const uint32_t server = choose_subnet("lab", {})->host(1).value;
    one.send(dhcp_frame({.type = DhcpType::request,
                         .mac = one.mac(),
                         .requested = address,
                         .server = server,
                         .host_name = "guest"}));
    ASSERT_TRUE(one.has_frames(1));
    EXPECT_EQ(networks_.port("lab", "vm-1", "/ipv4"), quoted(to_text(Ipv4Address{address})));
    one.send(udp_frame({.from = one.mac(), .source = address + 1}, 1, 2, {}));
    EXPECT_TRUE(comes_true([&] {
        return networks_.port("lab", "vm-1", "/drops/spoofed-ipv4") == "1";
    })) << "it has an address now, and no other";
    ASSERT_TRUE(comes_true(
        [&] { return TestNetworks::directory().read("network-lab.leases").has_value(); }));
    ::kill(networks_.pid("lab"), SIGKILL);
    ASSERT_TRUE(one.has_link(false));
    networks_.start("lab");
    EXPECT_EQ(networks_.report("lab", "/leases/0/address"), quoted(to_text(Ipv4Address{address})));
    EXPECT_EQ(networks_.report("lab", "/leases/0/host_name"), quoted("guest"));
}

TEST_F(SwitchProcessTest, ReachesTheRouterOfANat) {
    networks_.create({.name = "office", .subnet = {}, .nat = true, .members = {}});
    TestMember one("office", 1), two("office", 2);
    const Ipv4Subnet subnet = *choose_subnet("office", {});
    ArpPacket arp;
    arp.operation = uint16_t{1};
    arp.sender_mac = one.mac();
    arp.sender_ip = subnet.host(20).value;
    arp.target_ip = subnet.host(2).value;
    one.send(arp_frame(one.mac(), arp));
    const auto router = [&]() -> std::optional<MacAddress> {
        for (const FrameBytes& frame : one.take_frames()) {
            const auto reply = header_at<ArpPacket>(frame, 14);
            if (reply && reply->sender_ip == arp.target_ip) return reply->sender_mac;
        }
        return {};
    };
    std::optional<MacAddress> mac;
    ASSERT_TRUE(comes_true([&] { return (mac = router()).has_value(); }));
    IcmpHeader echo;
    echo.type = IcmpHeader::kEcho;
    echo.checksum = static_cast<uint16_t>(~plain_sum(bytes_of(echo)));
    one.send(ipv4_frame({.to = *mac,
                         .from = one.mac(),
                         .source = arp.sender_ip,
                         .destination = arp.target_ip,
                         .protocol = ip_protocol::kIcmp},
                        bytes_of(echo)));
    EXPECT_TRUE(comes_true([&] { return one.count_from(*mac) > 0; }));
    EXPECT_EQ(networks_.port("office", "uplink", "/kind"), quoted("uplink"));
}

// As QEMU's -netdev stream and -netdev socket.
class StreamPeer {
public:
    explicit StreamPeer(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), address.sun_path);
        fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const timeval limit{20, 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    }
    void send(const FrameBytes& frame) {
        FrameBytes bytes = bytes_of(StreamLength(static_cast<uint32_t>(frame.size())));
        bytes.insert(bytes.end(), frame.begin(), frame.end());
        EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    // Empty: the end, or too late.
    FrameBytes receive() {
        StreamLength length;
        if (::recv(fd_.get(), &length, sizeof(length), MSG_WAITALL) != sizeof(length)) return {};
        FrameBytes frame(length);
        if (::recv(fd_.get(), frame.data(), frame.size(), MSG_WAITALL) !=
            static_cast<ssize_t>(frame.size()))
            return {};
        return frame;
    }
    int handle() const { return fd_.get(); }

private:
    UniqueFd fd_;
};

TEST_F(SwitchProcessTest, SpeaksTheFramingOfQemu) {
    TestMember one("lab", 1);
    StreamPeer peer(TestNetworks::paths("lab").stream);
    const FrameBytes hello =
        ethernet_frame(kBroadcastMac, test_mac(0x51), 0x88B5, counting_bytes(300));
    peer.send(hello);
    ASSERT_TRUE(one.has_frames(1));
    EXPECT_EQ(one.take_frames()[0], hello);
    const FrameBytes answer =
        ethernet_frame(test_mac(0x51), one.mac(), 0x88B5, counting_bytes(1000));
    one.send(answer);
    EXPECT_EQ(peer.receive(), answer);
    one.send(tcp_frame(test_mac(0x51), one.mac(), 5000), tcp_info());
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(transport_sum(peer.receive()), 0xFFFF) << "segmented and summed";
    peer.send(ethernet_frame(one.mac(), test_mac(0x52), 0x88B5));
    EXPECT_TRUE(comes_true([&] {
        return networks_.port("lab", "stream-1", "/drops/spoofed-mac") == "1";
    })) << "its address is that of its first frame";
}

TEST_F(SwitchProcessTest, EndsAStreamThatIsNone) {
    StreamPeer peer(TestNetworks::paths("lab").stream);
    const be32 length = 0xFFFFFFFF;
    ASSERT_EQ(::send(peer.handle(), &length, sizeof(length), 0), 4);
    EXPECT_TRUE(peer.receive().empty());
    TestMember one("lab", 1);
    EXPECT_TRUE(one.port().link_up());
}

// Where the switch brings the frames that this process captures.
class CapturingProcess {
public:
    CapturingProcess() : listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        const UnixAddress address(path_);
        EXPECT_EQ(::bind(listener_.get(), address.get(), address.size()), 0);
        EXPECT_EQ(::listen(listener_.get(), 1), 0);
    }
    Result<void> begin(const std::string& member) {
        TRY(capture_network(TestNetworks::directory(), "lab", member));
        stream_.reset(::accept(listener_.get(), nullptr, nullptr));
        const timeval limit{20, 0};
        ::setsockopt(stream_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        return {};
    }
    std::vector<FrameBytes> read(size_t frames) {
        std::vector<FrameBytes> all;
        std::array<std::byte, 4096> bytes;
        while (all.size() < frames) {
            const ssize_t size = ::recv(stream_.get(), bytes.data(), bytes.size(), 0);
            if (size <= 0) break;
            const auto got = std::span<const std::byte>(bytes).first(static_cast<size_t>(size));
            EXPECT_TRUE(reader_.feed(got, [&](const FrameRecordHeader&, auto frame) {
                all.emplace_back(frame.begin(), frame.end());
            }));
        }
        return all;
    }
    void end() { stream_.reset(); }

private:
    const std::string path_ = capture_socket(TestNetworks::directory(), ::getpid());
    UniqueFd listener_, stream_;
    FrameRecordReader reader_;
};

TEST_F(SwitchProcessTest, ShowsItsFramesToWhoCaptures) {
    TestMember one("lab", 1), two("lab", 2), three("lab", 3);
    for (TestMember* member : {&one, &two, &three})
        member->broadcast();
    ASSERT_TRUE(one.has_frames(2) && two.has_frames(2) && three.has_frames(2));
    CapturingProcess process;
    ASSERT_TRUE(process.begin(""));
    one.send_to(two, 50);
    const auto all = process.read(1);
    ASSERT_EQ(all.size(), 1U) << "once, not at each port";
    EXPECT_EQ(all[0], ethernet_frame(two.mac(), one.mac(), 0x88B5, counting_bytes(50)));
    process.end();

    ASSERT_TRUE(process.begin("vm-3"));
    one.send_to(two, 60);
    two.send_to(three, 70);
    ASSERT_TRUE(three.has_frames(3));
    three.send_to(one, 80);
    const auto some = process.read(2);
    ASSERT_EQ(some.size(), 2U);
    EXPECT_EQ(some[0], ethernet_frame(three.mac(), two.mac(), 0x88B5, counting_bytes(70)));
    EXPECT_EQ(some[1], ethernet_frame(one.mac(), three.mac(), 0x88B5, counting_bytes(80)));

    const auto none = process.begin("vm-9");
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().text().find("no member 'vm-9'"), std::string_view::npos);
}

TEST_F(SwitchProcessTest, EndsWhenItIsAsked) {
    TestMember one("lab", 1);
    ASSERT_TRUE(end_network(TestNetworks::directory(), "lab"));
    EXPECT_FALSE(network_report(TestNetworks::directory(), "lab"));
    EXPECT_TRUE(one.has_link(false));
    EXPECT_FALSE(std::filesystem::exists(TestNetworks::paths("lab").port));
}

}  // namespace
}  // namespace banyan
