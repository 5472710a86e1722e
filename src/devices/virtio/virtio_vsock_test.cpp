#include "devices/virtio/virtio_vsock.hpp"

#include <gtest/gtest.h>

#include "devices/virtio/testing/guest_driver.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fake_vsock.hpp"

namespace banyan {
namespace {

using namespace virtio;

constexpr uint64_t kCid = 42;
constexpr Gpa kPacket{0x1000};
constexpr Gpa kReceived{0x20000};
constexpr uint32_t kReceiveBuffer = 4096;
constexpr uint32_t kGuestPort = 1000;
constexpr uint32_t kHostPort = 80;
constexpr uint32_t kCredit = 100'000;

struct Packet {
    VsockOp op = VsockOp::invalid;
    VsockHeader header;
    std::string data;
};

class VirtioVsockTest : public testing::Test {
protected:
    void SetUp() override { start(); }

    void start(unsigned buffers = 8) {
        ASSERT_TRUE(guest_.negotiate(kModernRings | kVsockStream));
        queues_.clear();
        for (uint16_t i = 0; i < 3; ++i)
            queues_.push_back(guest_.setup_queue(i, 32));
        guest_.driver_ok();
        for (unsigned i = 0; i < buffers; ++i)
            add_buffer();
    }
    // As Linux: a buffer for the header and one for data.
    void add_buffer() {
        const Gpa at = kReceived + uint64_t{buffers_++ % 32} * 2 * kReceiveBuffer;
        queues_[0].add(
            {{at, sizeof(VsockHeader), true}, {at + kReceiveBuffer, kReceiveBuffer, true}});
        guest_.notify(0);
    }
    std::optional<Packet> next() {
        const auto used = queues_[0].take_used();
        if (!used) return std::nullopt;
        const Gpa at = kReceived + uint64_t{taken_++ % 32} * 2 * kReceiveBuffer;
        Packet packet;
        EXPECT_TRUE(bench_.ram.memory().read_object(at, packet.header));
        EXPECT_EQ(used->length, sizeof(VsockHeader) + packet.header.len);
        EXPECT_EQ(packet.header.src_cid, kVsockHostCid);
        EXPECT_EQ(packet.header.dst_cid, kCid);
        packet.op = static_cast<VsockOp>(uint16_t{packet.header.op});
        packet.data = guest_.peek(at + kReceiveBuffer, packet.header.len);
        return packet;
    }
    VsockOp next_op() {
        const auto packet = next();
        return packet ? packet->op : VsockOp::invalid;
    }
    VsockHeader header(VsockOp op, uint32_t host_port = kHostPort) const {
        VsockHeader header;
        header.src_cid = kCid;
        header.dst_cid = kVsockHostCid;
        header.src_port = kGuestPort;
        header.dst_port = host_port;
        header.type = kVsockTypeStream;
        header.op = static_cast<uint16_t>(op);
        header.buf_alloc = kCredit;
        return header;
    }
    void send(VsockHeader header, std::string_view data = {}) {
        header.len = static_cast<uint32_t>(data.size());
        ASSERT_TRUE(bench_.ram.memory().write_object(kPacket, header));
        guest_.poke(kPacket + sizeof(header), data);
        queues_[1].add({{kPacket, static_cast<uint32_t>(sizeof(header) + data.size())}});
        guest_.notify(1);
    }
    FakeVsockPeer& connect() {
        send(header(VsockOp::request));
        EXPECT_EQ(next_op(), VsockOp::response);
        return *host_.peers.back();
    }
    void say(FakeVsockPeer& peer, std::string_view text) {
        peer.to_guest += text;
        if (peer.interest.readable) vsock_->on_stream_ready(peer.cookie, {.readable = true});
    }

    VirtioBench bench_;
    FakeVsock host_;
    VirtioVsock* vsock_ = nullptr;
    VirtioPci pci_{[this] {
                       auto owned = std::make_unique<VirtioVsock>(
                           kCid, VirtioVsockWiring{bench_.ram.memory(), host_});
                       vsock_ = owned.get();
                       return owned;
                   }(),
                   bench_.wiring()};
    GuestDriver guest_{bench_, pci_};
    std::vector<GuestQueue> queues_;
    unsigned buffers_ = 0;
    unsigned taken_ = 0;
};

TEST_F(VirtioVsockTest, TellsTheGuestItsCid) {
    EXPECT_EQ(guest_.read_config(0, 8), kCid);
    EXPECT_EQ(guest_.offered_features() & ~kOfferedByAll, kVsockStream | kFeatureInOrder);
}

TEST_F(VirtioVsockTest, TheGuestReachesAPortOfTheHost) {
    send(header(VsockOp::request));
    const auto response = next();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->op, VsockOp::response);
    EXPECT_EQ(response->header.src_port, kHostPort);
    EXPECT_EQ(response->header.dst_port, kGuestPort);
    EXPECT_EQ(response->header.buf_alloc, VsockConnection::kBufferSize);
    FakeVsockPeer& peer = *host_.peers.back();
    EXPECT_EQ(peer.port, kHostPort);

    send(header(VsockOp::read_write), "GET /");
    EXPECT_EQ(peer.received, "GET /");
    say(peer, "200 OK");
    const auto answer = next();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->op, VsockOp::read_write);
    EXPECT_EQ(answer->data, "200 OK");
    EXPECT_EQ(answer->header.fwd_cnt, 5U) << "the five bytes have left our buffer";
}

TEST_F(VirtioVsockTest, NobodyThereIsAReset) {
    send(header(VsockOp::request, 0));
    EXPECT_EQ(next_op(), VsockOp::reset);
}

TEST_F(VirtioVsockTest, TheHostReachesAPortOfTheGuest) {
    vsock_->on_connect(kGuestPort, host_.make(0));
    const auto request = next();
    ASSERT_TRUE(request);
    EXPECT_EQ(request->op, VsockOp::request);
    EXPECT_EQ(request->header.dst_port, kGuestPort);
    FakeVsockPeer& peer = *host_.peers.back();
    EXPECT_FALSE(peer.interest.readable) << "not before the guest has accepted";
    send(header(VsockOp::response, request->header.src_port));
    EXPECT_EQ(peer.accepted_as, request->header.src_port);
    say(peer, "hello");
    EXPECT_EQ(next()->data, "hello");
}

TEST_F(VirtioVsockTest, AGuestThatRefusesClosesTheHostsEnd) {
    vsock_->on_connect(kGuestPort, host_.make(0));
    send(header(VsockOp::reset, next()->header.src_port));
    EXPECT_TRUE(host_.peers.back()->closed);
    EXPECT_FALSE(next());
}

// 5.10.6.3: what the guest may send ahead of the host.
TEST_F(VirtioVsockTest, AHostThatDoesNotReadHoldsTheGuestBack) {
    FakeVsockPeer& peer = connect();
    peer.room = 10;
    send(header(VsockOp::read_write), std::string(1000, 'a'));
    EXPECT_EQ(peer.received.size(), 10U);
    EXPECT_TRUE(peer.interest.writable);
    send(header(VsockOp::credit_request));
    EXPECT_EQ(next()->header.fwd_cnt, 10U);
    peer.room = SIZE_MAX;
    vsock_->on_stream_ready(peer.cookie, {.writable = true});
    EXPECT_EQ(peer.received.size(), 1000U);
    EXPECT_FALSE(peer.interest.writable);
}

TEST_F(VirtioVsockTest, MuchThatWasForwardedIsTold) {
    FakeVsockPeer& peer = connect();
    unsigned updates = 0;
    for (unsigned i = 0; i < 40; ++i) {
        send(header(VsockOp::read_write), std::string(2000, static_cast<char>('a' + i % 26)));
        if (const auto packet = next()) {
            EXPECT_EQ(packet->op, VsockOp::credit_update);
            EXPECT_EQ(packet->header.fwd_cnt, 2000 * (i + 1));
            ++updates;
        }
    }
    EXPECT_EQ(updates, 2U);
    EXPECT_EQ(peer.received.size(), 80'000U);
    EXPECT_EQ(peer.received[79'999], 'a' + 39 % 26);
}

TEST_F(VirtioVsockTest, AGuestThatIgnoresItsCreditIsReset) {
    FakeVsockPeer& peer = connect();
    peer.room = 0;
    for (unsigned i = 0; i < 33; ++i)
        send(header(VsockOp::read_write), std::string(2000, 'a'));
    EXPECT_EQ(next_op(), VsockOp::reset);
    EXPECT_TRUE(peer.closed);
}

TEST_F(VirtioVsockTest, NoMoreThanTheGuestsCreditIsSent) {
    VsockHeader request = header(VsockOp::request);
    request.buf_alloc = 6U;
    send(request);
    EXPECT_EQ(next_op(), VsockOp::response);
    FakeVsockPeer& peer = *host_.peers.back();
    say(peer, "0123456789");
    EXPECT_EQ(next()->data, "012345");
    EXPECT_EQ(next_op(), VsockOp::credit_request);
    EXPECT_FALSE(next());
    VsockHeader update = header(VsockOp::credit_update);
    update.buf_alloc = 6U;
    update.fwd_cnt = 6U;
    send(update);
    EXPECT_EQ(next()->data, "6789");
}

TEST_F(VirtioVsockTest, DataWaitForBuffers) {
    FakeVsockPeer& peer = connect();
    for (unsigned i = 0; i < 7; ++i) {
        say(peer, "x");
        EXPECT_EQ(next()->data, "x");
    }
    say(peer, std::string(5000, 'y'));
    EXPECT_FALSE(next());
    add_buffer();
    EXPECT_EQ(next()->data.size(), kReceiveBuffer);
    add_buffer();
    EXPECT_EQ(next()->data.size(), 5000 - kReceiveBuffer);
}

// 5.10.6.5.
TEST_F(VirtioVsockTest, TheGuestEndsAStreamAndIsAnsweredByAReset) {
    FakeVsockPeer& peer = connect();
    peer.room = 2;
    send(header(VsockOp::read_write), "last");
    VsockHeader shutdown = header(VsockOp::shutdown);
    shutdown.flags = kVsockShutdownBoth;
    send(shutdown);
    EXPECT_FALSE(next()) << "not while some of it is on its way";
    peer.room = 100;
    vsock_->on_stream_ready(peer.cookie, {.writable = true});
    EXPECT_EQ(peer.received, "last");
    EXPECT_EQ(next_op(), VsockOp::reset);
    EXPECT_TRUE(peer.closed);
}

TEST_F(VirtioVsockTest, OneDirectionEndsAlone) {
    FakeVsockPeer& peer = connect();
    VsockHeader shutdown = header(VsockOp::shutdown);
    shutdown.flags = kVsockShutdownSend;
    send(shutdown);
    EXPECT_TRUE(peer.guest_ended);
    EXPECT_FALSE(peer.closed);
    say(peer, "still here");
    EXPECT_EQ(next()->data, "still here");
}

TEST_F(VirtioVsockTest, AHostThatEndsIsToldToTheGuest) {
    FakeVsockPeer& peer = connect();
    peer.ends = true;
    say(peer, "bye");
    EXPECT_EQ(next()->data, "bye");
    const auto shutdown = next();
    ASSERT_TRUE(shutdown);
    EXPECT_EQ(shutdown->op, VsockOp::shutdown);
    EXPECT_EQ(shutdown->header.flags, kVsockShutdownSend);
    EXPECT_FALSE(peer.interest.readable) << "or the end would be told without end";
}

TEST_F(VirtioVsockTest, AHostThatIsGoneTakesNothing) {
    FakeVsockPeer& peer = connect();
    peer.gone = true;
    send(header(VsockOp::read_write), "lost");
    EXPECT_EQ(next()->header.flags, kVsockShutdownBoth);
}

TEST_F(VirtioVsockTest, NonsenseIsAnsweredByAReset) {
    const auto answered = [this](const VsockHeader& header) {
        send(header);
        const bool reset = next_op() == VsockOp::reset;
        add_buffer();
        return reset;
    };
    EXPECT_TRUE(answered(header(VsockOp::read_write))) << "no such stream";
    EXPECT_TRUE(answered(header(VsockOp::invalid)));
    EXPECT_FALSE(answered(header(VsockOp::reset))) << "never to a reset";
    VsockHeader other = header(VsockOp::request);
    other.dst_cid = uint64_t{77};
    EXPECT_TRUE(answered(other));
    other = header(VsockOp::request);
    other.src_cid = uint64_t{77};
    EXPECT_TRUE(answered(other));
    other = header(VsockOp::request);
    other.type = uint16_t{2};
    EXPECT_TRUE(answered(other)) << "5.10.6.4: a type that is not known";
    EXPECT_TRUE(host_.peers.empty());
    (void)connect();
    EXPECT_TRUE(answered(header(VsockOp::request))) << "there is one already";
    EXPECT_TRUE(host_.peers.back()->closed);
}

TEST_F(VirtioVsockTest, LengthsBeyondThePacketNeedReset) {
    VsockHeader header_only = header(VsockOp::read_write);
    header_only.len = 100U;
    ASSERT_TRUE(bench_.ram.memory().write_object(kPacket, header_only));
    queues_[1].add({{kPacket, sizeof(VsockHeader)}});
    guest_.notify(1);
    EXPECT_NE(guest_.status() & kStatusNeedsReset, 0);
}

// Resets that find no buffers wait, and then so do the driver's packets.
TEST_F(VirtioVsockTest, PacketsWaitForRoomForTheirAnswers) {
    start(0);
    buffers_ = taken_ = 0;
    for (unsigned i = 0; i < 70; ++i)
        send(header(VsockOp::read_write));
    EXPECT_EQ(queues_[1].used_index(), 64U);
    for (unsigned i = 0; i < 70; ++i) {
        add_buffer();
        bench_.timers.advance(1'000'000);
        EXPECT_EQ(next_op(), VsockOp::reset) << i;
    }
    EXPECT_EQ(queues_[1].used_index(), 70U);
}

TEST_F(VirtioVsockTest, StreamsAreBounded) {
    for (uint32_t i = 0; i <= VirtioVsock::kMaxStreams; ++i) {
        VsockHeader request = header(VsockOp::request);
        request.src_port = 2000 + i;
        send(request);
        EXPECT_EQ(next_op(), i < VirtioVsock::kMaxStreams ? VsockOp::response : VsockOp::reset);
        add_buffer();
    }
}

TEST_F(VirtioVsockTest, AGuestThatStandsStillGetsNothing) {
    FakeVsockPeer& peer = connect();
    vsock_->hold(true);
    say(peer, "later");
    EXPECT_FALSE(next());
    EXPECT_FALSE(peer.interest.readable) << "or it would be told again and again";
    vsock_->hold(false);
    EXPECT_EQ(next()->data, "later");
}

TEST_F(VirtioVsockTest, ResetClosesAllStreams) {
    const FakeVsockPeer& peer = connect();
    guest_.reset();
    EXPECT_TRUE(peer.closed);
}

// 5.10.6.7.
TEST_F(VirtioVsockTest, ARestoredGuestIsToldThatItsStreamsAreLost) {
    (void)connect();
    const auto bytes = saved_bytes(pci_);
    EXPECT_FALSE(host_.peers.back()->closed) << "who is saved goes on";
    pci_.reset();
    StateReader reader(bytes);
    ASSERT_TRUE(pci_.restore(reader));
    queues_[2].add({{{0x3000}, 4, true}});
    ASSERT_TRUE(bench_.ram.memory().write_object({0x3000}, ~uint32_t{0}));
    guest_.notify(2);
    bench_.timers.advance(1'000'000);
    EXPECT_EQ(queues_[2].take_used()->length, 4U);
    EXPECT_EQ(guest_.peek({0x3000}, 4), std::string(4, '\0'));
}

TEST(VirtioVsockState, HasTheProperties) {
    VirtioBench bench;
    FakeVsock host;
    check_saved_state(
        [&] {
            auto vsock =
                std::make_unique<VirtioVsock>(kCid, VirtioVsockWiring{bench.ram.memory(), host});
            return std::make_unique<VirtioPci>(std::move(vsock), bench.wiring());
        },
        [&](VirtioPci& pci) {
            GuestDriver driver(bench, pci);
            ASSERT_TRUE(driver.negotiate(kModernRings | kVsockStream));
            (void)driver.setup_queue(1, 8);
            driver.driver_ok();
            pci.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
