#include "devices/virtio/virtio_net.hpp"

#include <cstddef>
#include <gtest/gtest.h>

#include "devices/virtio/testing/guest_driver.hpp"
#include "devices/virtio/virtio_net_header.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fake_network.hpp"

namespace banyan {
namespace {

using namespace virtio;

constexpr MacAddress kNetMacAddress{2, 0, 0, 0, 0, 1};
constexpr uint64_t kNetAll = kModernRings | kNetCsum | kNetGuestCsum | kNetCtrlGuestOffloads |
                             kNetMtu | kNetMac | kNetGuestTso4 | kNetHostTso4 | kNetMrgRxbuf |
                             kNetStatus | kNetCtrlVq | kNetCtrlRx | kNetCtrlVlan | kNetCtrlRxExtra |
                             kNetGuestAnnounce | kNetCtrlMacAddr;
constexpr uint64_t kNetPlain = kModernRings | kNetMac | kNetStatus;
constexpr Gpa kSendAt{0x1000};
constexpr Gpa kReceiveAt{0x1'0000};
constexpr Gpa kCommandAt{0x8000};
constexpr Gpa kAnswerAt{0x9000};

std::string mac_text(std::initializer_list<int> bytes) {
    return {bytes.begin(), bytes.end()};
}
const std::string kOwn = mac_text({2, 0, 0, 0, 0, 1});
const std::string kOther = mac_text({2, 0, 0, 0, 0, 9});
const std::string kGroup = mac_text({1, 0, 0x5E, 0, 0, 7});
const std::string kEverybody(6, '\xff');

// An Ethernet frame of 14 bytes and the text.
std::string frame_to(const std::string& to, const std::string& text) {
    return to + kOther + std::string("\x88\xb5", 2) + text;
}

// A card and its driver.
struct NetGuest {
    explicit NetGuest(unsigned queue_pairs = 1)
        : pairs(queue_pairs),
          made(std::make_unique<VirtioNet>(
              VirtioNetConfig{.mac = kNetMacAddress, .mtu = 9000, .queue_pairs = queue_pairs},
              VirtioNetWiring{bench.ram.memory(), network})),
          net(*made),
          pci(std::move(made), bench.wiring()),
          driver(bench, pci) {}

    void start(uint64_t features, uint16_t queue_size = 8) {
        ASSERT_TRUE(driver.negotiate(features));
        negotiated = features;
        queues.clear();
        const unsigned count = control() + 1;
        for (uint16_t i = 0; i < count; ++i)
            queues.push_back(driver.setup_queue(i, queue_size));
        driver.driver_ok();
    }
    uint16_t control() const {
        return static_cast<uint16_t>((negotiated & kNetMq) != 0 ? 2 * pairs : 2);
    }
    void send(const NetHeader& header, const std::string& frame, uint16_t pair = 0) {
        ASSERT_TRUE(bench.ram.memory().write_object(kSendAt, header));
        driver.poke(kSendAt + sizeof(header), frame);
        const auto size = static_cast<uint32_t>(frame.size());
        queues[2U * pair + 1U].add({{kSendAt, sizeof(header)}, {kSendAt + sizeof(header), size}});
        driver.notify(static_cast<uint16_t>(2 * pair + 1));
    }
    void give_buffers(unsigned count, uint32_t size, uint16_t pair = 0) {
        for (unsigned i = 0; i < count; ++i)
            queues[2U * pair].add({{buffer(next_buffer++), size, true}});
        driver.notify(static_cast<uint16_t>(2 * pair));
    }
    static Gpa buffer(unsigned index) { return kReceiveAt + uint64_t{0x1000} * index; }
    NetHeader header_at(unsigned index) {
        NetHeader header;
        EXPECT_TRUE(bench.ram.memory().read_object(buffer(index), header));
        return header;
    }
    std::string frame_at(unsigned index, size_t size) {
        return driver.peek(buffer(index) + sizeof(NetHeader), size);
    }
    // The answer to a command, or -1 when there is none.
    int command(NetControl control_class, uint8_t command, const std::string& data) {
        driver.poke(
            kCommandAt,
            std::string{static_cast<char>(control_class), static_cast<char>(command)} + data);
        driver.poke(kAnswerAt, "\x7f");
        GuestQueue& queue = queues[control()];
        queue.add({{kCommandAt, static_cast<uint32_t>(2 + data.size())}, {kAnswerAt, 1, true}});
        driver.notify(control());
        return queue.take_used() ? driver.peek(kAnswerAt, 1)[0] : -1;
    }
    uint16_t status() {
        return static_cast<uint16_t>(driver.read_config(offsetof(NetConfig, status), 2));
    }
    bool needs_reset() { return (driver.status() & kStatusNeedsReset) != 0; }

    unsigned pairs;
    VirtioBench bench;
    FakeNetwork network;
    std::unique_ptr<VirtioNet> made;
    VirtioNet& net;
    VirtioPci pci;
    GuestDriver driver;
    uint64_t negotiated = 0;
    std::vector<GuestQueue> queues;
    unsigned next_buffer = 0;
};

class VirtioNetTest : public testing::Test {
protected:
    void SetUp() override { guest_.start(kNetAll); }

    NetGuest guest_;
    FakeNetwork& network_ = guest_.network;
    GuestDriver& driver_ = guest_.driver;
    const NetStatistics& counted_ = guest_.net.statistics();
};

TEST_F(VirtioNetTest, ShowsItsConfiguration) {
    EXPECT_EQ(driver_.read_config(0, 1), 2U);
    EXPECT_EQ(driver_.read_config(5, 1), 1U);
    EXPECT_EQ(guest_.status(), kNetLinkUp);
    EXPECT_EQ(driver_.read_config(offsetof(NetConfig, max_virtqueue_pairs), 2), 1U);
    EXPECT_EQ(driver_.read_config(offsetof(NetConfig, mtu), 2), 9000U);
    EXPECT_EQ(driver_.offered_features() & kNetAll, kNetAll);
    EXPECT_EQ(driver_.offered_features() & kNetMq, 0U) << "one pair";
}

TEST_F(VirtioNetTest, OffersOnlyWhatTheNetworkTakes) {
    FakeRam ram{1 << 16};
    FakeNetwork plain;
    plain.takes = {};
    const VirtioNet net({.mac = kNetMacAddress}, {ram.memory(), plain});
    EXPECT_EQ(net.features() & (kNetCsum | kNetHostTso4 | kNetHostTso6 | kNetHostEcn | kNetHostUso),
              0U);
    EXPECT_NE(net.features() & kNetGuestCsum, 0U) << "it takes more than it must";
}

TEST_F(VirtioNetTest, StartsTheNetworkWithItsDriver) {
    NetGuest fresh;
    EXPECT_EQ(fresh.network.starts, 0U);
    fresh.start(kNetAll);
    EXPECT_TRUE(fresh.network.running());
    EXPECT_EQ(fresh.network.client_mtu, 9000U);
    EXPECT_TRUE(fresh.network.client_takes.tcp4);
    EXPECT_FALSE(fresh.network.client_takes.tcp6) << "not negotiated";
    fresh.driver.reset();
    EXPECT_FALSE(fresh.network.running());
    EXPECT_EQ(fresh.network.client_takes, NetOffloads{});
    fresh.start(kNetPlain);
    EXPECT_EQ(fresh.network.client_mtu, kEthernetMtu) << "the driver does not know of another";
    EXPECT_EQ(fresh.network.starts, 2U);
}

TEST_F(VirtioNetTest, HasNoLinkWithoutANetwork) {
    NetGuest fresh;
    fresh.network.can_start = false;
    fresh.network.up = false;
    fresh.start(kNetAll);
    EXPECT_EQ(fresh.status(), 0U);
    EXPECT_NE(fresh.driver.read_isr() & kIsrConfig, 0U);
}

TEST_F(VirtioNetTest, TellsOfTheLink) {
    network_.client()->on_link_changed(false);
    EXPECT_EQ(guest_.status(), 0U);
    EXPECT_NE(driver_.read_isr() & kIsrConfig, 0U);
    network_.client()->on_link_changed(true);
    EXPECT_EQ(guest_.status(), kNetLinkUp);
}

TEST_F(VirtioNetTest, Sends) {
    const std::string frame = frame_to(kOther, "hello");
    guest_.send({}, frame);
    ASSERT_EQ(network_.sent.size(), 1U);
    EXPECT_EQ(network_.sent[0].bytes, frame);
    EXPECT_FALSE(network_.sent[0].info.needs_checksum);
    EXPECT_EQ(guest_.queues[1].take_used()->length, 0U);
    EXPECT_EQ(counted_.sent_frames, 1U);
    EXPECT_EQ(counted_.sent_bytes, frame.size());
    EXPECT_TRUE(guest_.bench.irq.level());
}

TEST_F(VirtioNetTest, SendsSeveralFramesInOneCall) {
    driver_.poke(kSendAt, std::string(12, '\0') + frame_to(kOther, "x"));
    for (unsigned i = 0; i < 8; ++i)
        guest_.queues[1].add({{kSendAt, 27}});
    driver_.notify(1);
    EXPECT_EQ(network_.sent.size(), 8U);
    EXPECT_EQ(network_.sends, 1U);
}

TEST_F(VirtioNetTest, KeepsWhatTheNetworkHasNoRoomFor) {
    driver_.poke(kSendAt, std::string(12, '\0') + frame_to(kOther, "x"));
    network_.room = 3;
    for (unsigned i = 0; i < 8; ++i)
        guest_.queues[1].add({{kSendAt, 27}});
    driver_.notify(1);
    EXPECT_EQ(guest_.queues[1].used_index(), 3U);
    network_.room = 0;
    driver_.notify(1);
    EXPECT_EQ(network_.sends, 1U) << "it is not asked again before it says so";
    network_.room = 100;
    network_.client()->on_send_room();
    EXPECT_EQ(guest_.queues[1].used_index(), 8U);
    EXPECT_EQ(network_.sent.size(), 8U);
}

TEST_F(VirtioNetTest, AsksForNotificationsOnlyWhenTheRingIsEmpty) {
    network_.room = 0;
    guest_.send({}, frame_to(kOther, "x"));
    EXPECT_EQ(guest_.queues[1].available_event(), 0U) << "room is told of by the network";
    network_.room = 1;
    network_.client()->on_send_room();
    EXPECT_EQ(guest_.queues[1].available_event(), 1U);
}

TEST_F(VirtioNetTest, SendsSegments) {
    NetHeader header;
    header.flags = kNetNeedsCsum;
    header.gso_type = kNetGsoTcp4;
    header.gso_size = uint16_t{1000};
    header.hdr_len = uint16_t{54};
    header.csum_start = uint16_t{34};
    header.csum_offset = uint16_t{16};
    guest_.send(header, std::string(3000, 't'));
    ASSERT_EQ(network_.sent.size(), 1U);
    const NetFrameInfo& info = network_.sent[0].info;
    EXPECT_TRUE(info.needs_checksum);
    EXPECT_EQ(info.checksum_start, 34U);
    EXPECT_EQ(info.checksum_offset, 16U);
    EXPECT_EQ(info.segmentation, NetFrameInfo::Segmentation::tcp4);
    EXPECT_EQ(info.segment_size, 1000U);
    EXPECT_EQ(info.header_length, 54U);
}

TEST(VirtioNetHeader, NonsenseIsNoFrame) {
    NetHeader good;
    good.flags = kNetNeedsCsum;
    good.gso_type = kNetGsoTcp4;
    good.gso_size = uint16_t{1};
    good.csum_start = uint16_t{34};
    good.csum_offset = uint16_t{16};
    EXPECT_TRUE(parse_net_header(good, 60, kNetAll));
    EXPECT_FALSE(parse_net_header(good, 53, kNetAll)) << "no whole TCP header";
    EXPECT_FALSE(parse_net_header(good, 60, kNetPlain)) << "not negotiated";
    EXPECT_FALSE(parse_net_header(good, 60, kNetAll & ~kNetCsum));
    const auto changed = [&](auto change) {
        NetHeader bad = good;
        change(bad);
        return parse_net_header(bad, 60, kNetAll).has_value();
    };
    EXPECT_FALSE(changed([](NetHeader& h) { h.gso_size = uint16_t{0}; }));
    EXPECT_FALSE(changed([](NetHeader& h) { h.flags = 0; })) << "segments without a checksum";
    EXPECT_FALSE(changed([](NetHeader& h) { h.csum_offset = uint16_t{25}; })) << "behind the end";
    EXPECT_FALSE(changed([](NetHeader& h) { h.csum_offset = uint16_t{0xFFFF}; }));
    EXPECT_FALSE(changed([](NetHeader& h) { h.csum_start = uint16_t{13}; })) << "in Ethernet's";
    EXPECT_FALSE(changed([](NetHeader& h) { h.gso_type = 3; })) << "UFO is not offered";
    EXPECT_FALSE(changed([](NetHeader& h) { h.gso_type = kNetGsoTcp6; })) << "not negotiated";
    EXPECT_FALSE(changed([](NetHeader& h) { h.gso_type |= kNetGsoEcn; })) << "not negotiated";
    EXPECT_TRUE(changed([](NetHeader& h) { h.hdr_len = uint16_t{0xFFFF}; })) << "only a hint";
}

TEST_F(VirtioNetTest, DropsAndCountsWhatIsNoFrame) {
    guest_.send({}, "short");
    NetHeader header;
    header.gso_type = 77;
    guest_.send(header, frame_to(kOther, "x"));
    guest_.queues[1].add({{kSendAt, 0x1'0100}});  // longer than any frame
    driver_.notify(1);
    EXPECT_EQ(network_.sent.size(), 0U);
    EXPECT_EQ(counted_.sent_malformed, 3U);
    EXPECT_EQ(guest_.queues[1].used_index(), 3U);
    EXPECT_FALSE(guest_.needs_reset());
}

TEST_F(VirtioNetTest, Receives) {
    guest_.give_buffers(2, 2048);
    const std::string frame = frame_to(kOwn, "hello");
    EXPECT_EQ(network_.deliver({frame, frame}), 2U);
    const auto used = guest_.queues[0].take_used();
    EXPECT_EQ(used->length, sizeof(NetHeader) + frame.size());
    EXPECT_EQ(guest_.frame_at(0, frame.size()), frame);
    EXPECT_EQ(guest_.header_at(0).num_buffers, 1U);
    EXPECT_EQ(guest_.header_at(0).flags, 0U);
    EXPECT_EQ(counted_.received_frames, 2U);
    EXPECT_TRUE(guest_.bench.irq.level());
}

TEST_F(VirtioNetTest, MergesBuffers) {
    guest_.give_buffers(4, 100);
    std::string frame = frame_to(kOwn, "");
    for (char c = 0; c < 120; ++c)
        frame += c;
    for (int i = 0; i < 100; ++i)
        frame += "z";
    ASSERT_EQ(network_.deliver({frame}), 1U);
    EXPECT_EQ(guest_.header_at(0).num_buffers, 3U);
    std::string got = guest_.frame_at(0, 88);
    for (unsigned i = 1; i < 3; ++i)
        got += driver_.peek(NetGuest::buffer(i), 100);
    EXPECT_EQ(got.substr(0, frame.size()), frame);
    EXPECT_EQ(guest_.queues[0].used_index(), 3U);
    EXPECT_EQ(guest_.queues[0].take_used()->length, 100U);
    EXPECT_EQ(guest_.queues[0].take_used()->length, 100U);
    EXPECT_EQ(guest_.queues[0].take_used()->length, frame.size() + 12 - 200);
}

TEST_F(VirtioNetTest, LeavesFramesOutsideUntilThereAreBuffers) {
    guest_.give_buffers(1, 100);
    const std::string frame = frame_to(kOwn, std::string(150, 'f'));
    EXPECT_EQ(network_.deliver({frame}), 0U) << "it takes two buffers";
    EXPECT_EQ(guest_.queues[0].used_index(), 0U);
    EXPECT_EQ(guest_.queues[0].available_event(), 1U) << "where the driver's next one comes";
    guest_.give_buffers(1, 100);
    EXPECT_EQ(network_.room_calls, 1U);
    EXPECT_EQ(network_.deliver({frame}), 1U);
    guest_.give_buffers(1, 100);
    EXPECT_EQ(network_.room_calls, 1U) << "nothing waits";
}

TEST_F(VirtioNetTest, DropsWhatNoBuffersHold) {
    guest_.give_buffers(8, 20);  // all that the ring has
    EXPECT_EQ(network_.deliver({frame_to(kOwn, std::string(300, 'l'))}), 1U);
    EXPECT_EQ(counted_.received_too_large, 1U);
    EXPECT_EQ(network_.deliver({frame_to(kOwn, "s")}), 1U);
    EXPECT_EQ(counted_.received_frames, 1U);

    guest_.start(kNetPlain);
    guest_.next_buffer = 0;
    guest_.give_buffers(2, 64);
    EXPECT_EQ(network_.deliver({frame_to(kOwn, std::string(100, 'l'))}), 1U);
    EXPECT_EQ(counted_.received_too_large, 2U) << "without merged buffers one has to do";
}

TEST_F(VirtioNetTest, ABufferWithoutRoomForTheHeaderNeedsReset) {
    guest_.give_buffers(1, 11);
    EXPECT_EQ(network_.deliver({frame_to(kOwn, "x")}), 1U);
    EXPECT_TRUE(guest_.needs_reset());
    EXPECT_EQ(network_.deliver({frame_to(kOwn, "x")}), 1U);
    EXPECT_EQ(counted_.received_while_down, 1U);
}

TEST_F(VirtioNetTest, GivesOnlyWhatTheDriverTakes) {
    guest_.give_buffers(4, 2048);
    const std::string frame = frame_to(kOwn, std::string(100, 'x'));
    EXPECT_EQ(network_.deliver({frame}, {.checksum_valid = true}), 1U);
    EXPECT_EQ(guest_.header_at(0).flags, kNetDataValid);
    const NetFrameInfo segments{.needs_checksum = true,
                                .checksum_start = 34,
                                .checksum_offset = 16,
                                .segmentation = NetFrameInfo::Segmentation::tcp4,
                                .segment_size = 50};
    EXPECT_EQ(network_.deliver({frame}, segments), 1U);
    EXPECT_EQ(guest_.header_at(1).gso_type, kNetGsoTcp4);
    EXPECT_EQ(guest_.header_at(1).gso_size, 50U);

    EXPECT_EQ(guest_.command(NetControl::guest_offloads, kNetGuestOffloadsSet,
                             std::string("\x02\0\0\0\0\0\0\0", 8)),
              kNetOk);
    EXPECT_FALSE(network_.client_takes.tcp4);
    EXPECT_TRUE(network_.client_takes.checksum);
    EXPECT_EQ(network_.deliver({frame}, segments), 1U);
    EXPECT_EQ(counted_.received_unusable, 1U);
    EXPECT_EQ(network_.deliver({"x"}), 1U);
    EXPECT_EQ(counted_.received_unusable, 2U);
}

TEST_F(VirtioNetTest, Filters) {
    guest_.give_buffers(8, 256);
    const auto passes = [&](const std::string& to) {
        const uint64_t before = counted_.received_frames;
        EXPECT_EQ(network_.deliver({frame_to(to, "x")}), 1U);
        guest_.give_buffers(counted_.received_frames == before ? 0 : 1, 256);
        return counted_.received_frames != before;
    };
    EXPECT_TRUE(passes(kOther)) << "everything, until the driver says what it wants";
    const auto mode = [&](uint8_t command, char on) {
        return guest_.command(NetControl::rx, command, std::string(1, on));
    };
    EXPECT_EQ(mode(kNetRxPromisc, 0), kNetOk);
    EXPECT_TRUE(passes(kOwn));
    EXPECT_TRUE(passes(kEverybody));
    EXPECT_FALSE(passes(kOther));
    EXPECT_FALSE(passes(kGroup));
    EXPECT_EQ(mode(1, 1), kNetOk);
    EXPECT_TRUE(passes(kGroup)) << "ALLMULTI";
    EXPECT_EQ(mode(3, 1), kNetOk);
    EXPECT_FALSE(passes(kGroup)) << "NOMULTI";
    EXPECT_EQ(mode(1, 0), kNetOk);
    EXPECT_EQ(mode(3, 0), kNetOk);
    EXPECT_EQ(mode(2, 1), kNetOk);
    EXPECT_TRUE(passes(kOther)) << "ALLUNI";
    EXPECT_EQ(mode(4, 1), kNetOk);
    EXPECT_FALSE(passes(kOwn)) << "NOUNI";
    EXPECT_EQ(mode(5, 1), kNetOk);
    EXPECT_FALSE(passes(kEverybody)) << "NOBCAST";
    EXPECT_EQ(mode(6, 1), kNetError);
    EXPECT_EQ(guest_.command(NetControl::rx, 0, ""), kNetError);
}

TEST_F(VirtioNetTest, FiltersByTables) {
    guest_.give_buffers(8, 256);
    EXPECT_EQ(guest_.command(NetControl::rx, kNetRxPromisc, std::string(1, '\0')), kNetOk);
    const std::string one("\x01\0\0\0", 4);
    EXPECT_EQ(guest_.command(NetControl::mac, kNetMacTableSet, one + kOther + one + kGroup),
              kNetOk);
    EXPECT_EQ(network_.deliver({frame_to(kOther, "x"), frame_to(kGroup, "x")}), 2U);
    EXPECT_EQ(counted_.received_frames, 2U);
    EXPECT_EQ(guest_.command(NetControl::mac, kNetMacTableSet, one + kOther + one), kNetError)
        << "cut short";
    EXPECT_EQ(guest_.command(NetControl::mac, kNetMacTableSet, std::string(4, '\xff')), kNetError);

    std::string many("\x41\0\0\0", 4);
    many += std::string(size_t{65} * 6, '\x02') + std::string(4, '\0');
    EXPECT_EQ(guest_.command(NetControl::mac, kNetMacTableSet, many), kNetOk);
    EXPECT_EQ(network_.deliver({frame_to(kOther, "x"), frame_to(kGroup, "x")}), 2U);
    EXPECT_EQ(counted_.received_frames, 3U) << "too many to know: all of the kind";

    EXPECT_EQ(guest_.command(NetControl::mac, kNetMacAddrSet, kGroup), kNetOk);
    EXPECT_EQ(driver_.read_config(0, 1), 1U);
    EXPECT_EQ(guest_.command(NetControl::mac, kNetMacAddrSet, "short"), kNetError);
}

TEST_F(VirtioNetTest, FiltersVlans) {
    guest_.give_buffers(8, 256);
    EXPECT_EQ(guest_.command(NetControl::rx, kNetRxPromisc, std::string(1, '\0')), kNetOk);
    const std::string tagged = kOwn + kOther + std::string("\x81\x00\x20\x05\x88\xb5", 6) + "x";
    EXPECT_EQ(network_.deliver({tagged}), 1U);
    EXPECT_EQ(counted_.received_for_others, 1U);
    EXPECT_EQ(guest_.command(NetControl::vlan, kNetVlanAdd, std::string("\x05\0", 2)), kNetOk);
    EXPECT_EQ(network_.deliver({tagged}), 1U);
    EXPECT_EQ(counted_.received_frames, 1U);
    EXPECT_EQ(guest_.command(NetControl::vlan, kNetVlanDel, std::string("\x05\0", 2)), kNetOk);
    EXPECT_EQ(network_.deliver({tagged}), 1U);
    EXPECT_EQ(counted_.received_for_others, 2U);
    EXPECT_EQ(guest_.command(NetControl::vlan, kNetVlanAdd, std::string("\0\x10", 2)), kNetError);
}

TEST_F(VirtioNetTest, RefusesCommandsThatAreNone) {
    EXPECT_EQ(guest_.command(static_cast<NetControl>(99), 0, "data"), kNetError);
    EXPECT_EQ(guest_.command(NetControl::mq, kNetMqPairsSet, std::string("\1\0", 2)), kNetError);
    EXPECT_EQ(
        guest_.command(NetControl::guest_offloads, kNetGuestOffloadsSet, std::string(8, '\xff')),
        kNetError);
    guest_.queues[2].add({{kCommandAt, 3}});
    driver_.notify(2);
    EXPECT_TRUE(guest_.needs_reset()) << "no place for an answer";
}

TEST(VirtioNetPairs, SteerFlows) {
    NetGuest guest(2);
    guest.start(kNetAll | kNetMq);
    guest.give_buffers(2, 256, 0);
    guest.give_buffers(2, 256, 1);
    EXPECT_EQ(guest.driver.read(Common::num_queues, 2), 5U);
    std::string packet(40, '\0');  // IPv4 and the ports of TCP
    packet[0] = 0x45;
    packet[9] = 6;
    packet.replace(12, 8, std::string("\x0a\0\x02\x0f\x0a\0\x02\x02", 8));
    packet.replace(20, 4, std::string("\x12\x34\0\x50", 4));
    std::string back = packet;
    back.replace(12, 8, std::string("\x0a\0\x02\x02\x0a\0\x02\x0f", 8));
    back.replace(20, 4, std::string("\0\x50\x12\x34", 4));
    const std::string type("\x08\0", 2);
    const std::string received = kOwn + kOther + type + back;

    guest.send({}, kOther + kOwn + type + packet, 1);
    EXPECT_EQ(guest.network.sent.size(), 0U) << "the driver uses one pair so far";
    EXPECT_EQ(guest.command(NetControl::mq, kNetMqPairsSet, std::string("\3\0", 2)), kNetError);
    EXPECT_EQ(guest.command(NetControl::mq, kNetMqPairsSet, std::string("\2\0", 2)), kNetOk);
    guest.bench.timers.advance(1'000'000);
    EXPECT_EQ(guest.network.sent.size(), 1U);
    EXPECT_EQ(guest.network.deliver({received}), 1U);
    EXPECT_EQ(guest.queues[2].used_index(), 1U) << "where its flow was sent";
    EXPECT_EQ(guest.network.deliver({frame_to(kOwn, "other")}), 1U);
    EXPECT_EQ(guest.queues[0].used_index(), 1U);
}

TEST_F(VirtioNetTest, DrainingStopsTheNetworkUntilTheGuestRuns) {
    guest_.net.drain();
    EXPECT_FALSE(network_.running());
    guest_.bench.timers.advance(1'000'000);
    EXPECT_TRUE(network_.running());
}

TEST_F(VirtioNetTest, AnnouncesItselfAfterARestore) {
    StateWriter writer;
    guest_.pci.save(writer);
    const auto bytes = writer.take();
    StateReader reader(bytes);
    ASSERT_TRUE(guest_.pci.restore(reader));
    EXPECT_EQ(guest_.status(), kNetLinkUp);
    guest_.bench.timers.advance(1'000'000);
    EXPECT_EQ(guest_.status(), kNetLinkUp | kNetAnnounce);
    EXPECT_EQ(guest_.command(NetControl::announce, kNetAnnounceAck, ""), kNetOk);
    EXPECT_EQ(guest_.status(), kNetLinkUp);
}

TEST(VirtioNetState, SavesAndRestores) {
    VirtioBench bench;
    FakeNetwork network;
    check_saved_state(
        [&] {
            auto net = std::make_unique<VirtioNet>(VirtioNetConfig{.mac = kNetMacAddress},
                                                   VirtioNetWiring{bench.ram.memory(), network});
            return std::make_unique<VirtioPci>(std::move(net), bench.wiring());
        },
        [&](VirtioPci& pci) {
            GuestDriver driver(bench, pci);
            ASSERT_TRUE(driver.negotiate(kNetAll));
            GuestQueue commands = driver.setup_queue(2, 8);
            driver.driver_ok();
            const std::string one("\x01\0\0\0", 4);
            const std::string tables = std::string("\x01\0", 2) + one + kOther + one + kGroup;
            const std::string address = std::string("\x01\x01", 2) + kOther;
            const std::string vlan("\x02\0\x05\0", 4);
            const std::string offloads("\x05\0\x02\0\0\0\0\0\0\0", 10);
            for (const std::string& command : {tables, address, vlan, offloads}) {
                driver.poke(kCommandAt, command);
                commands.add(
                    {{kCommandAt, static_cast<uint32_t>(command.size())}, {kAnswerAt, 1, true}});
                driver.notify(2);
                ASSERT_EQ(driver.peek(kAnswerAt, 1)[0], kNetOk);
            }
            pci.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
