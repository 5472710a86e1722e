// The NAT with the real libslirp: a guest of hand-made frames, and servers on the host's loopback.
#include "backends/net/nat.hpp"

#include <arpa/inet.h>
#include <array>
#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>
#include <sys/socket.h>

#include "network/packets/internet_checksum.hpp"
#include "support/be.hpp"

namespace banyan {
namespace {

constexpr uint32_t kGuest = 0x0A00020F;
constexpr uint32_t kRouter = 0x0A000202;
constexpr std::chrono::seconds kLimit{20};

// Keeps what comes for the guest.
class Guest final : public NetClient {
public:
    size_t on_frames(std::span<const NetFrame> frames) override {
        const std::lock_guard lock(mutex_);
        const size_t taken = std::min(frames.size(), room);
        for (const NetFrame& frame : frames.first(taken)) {
            std::string& bytes = frames_.emplace_back();
            for (const auto& part : frame.parts)
                bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
        }
        room -= taken;
        changed_.notify_all();
        return taken;
    }
    void on_send_room() override { ++send_rooms; }

    // The first frame from now on that fits; empty: none came in time.
    template <class Fits>
    std::string wait_for(Fits fits) {
        std::unique_lock lock(mutex_);
        std::string found;
        const auto look = [&] {
            for (; found.empty() && seen_ < frames_.size(); ++seen_)
                if (fits(frames_[seen_])) found = frames_[seen_];
            return !found.empty();
        };
        changed_.wait_for(lock, kLimit, look);
        return found;
    }
    void set_room(size_t count) {
        const std::lock_guard lock(mutex_);
        room = count;
    }

    size_t room = 1000;
    std::atomic<unsigned> send_rooms{0};

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> frames_;
    size_t seen_ = 0;
};

std::string be(uint16_t value) {
    const be16 bytes = value;
    return {reinterpret_cast<const char*>(&bytes), sizeof(bytes)};
}
std::string be_long(uint32_t value) {
    return be(static_cast<uint16_t>(value >> 16)) + be(static_cast<uint16_t>(value));
}

const std::string kGuestMac("\x02\0\0\0\0\x01", 6);
const std::string kRouterMac("\x52\x55\x0a\0\x02\x02", 6);  // libslirp's, with its address

std::string ethernet(const std::string& to, uint16_t type, const std::string& payload) {
    return to + kGuestMac + be(type) + payload;
}

std::string arp(uint16_t operation, uint32_t target) {
    return ethernet(std::string(6, '\xff'), 0x0806,
                    be(1) + be(0x0800) + std::string("\x06\x04", 2) + be(operation) + kGuestMac +
                        be_long(kGuest) + std::string(6, '\0') + be_long(target));
}

std::string ip(uint8_t protocol, uint32_t from, uint32_t to, const std::string& payload) {
    std::string header = std::string("\x45\0", 2) + be(static_cast<uint16_t>(20 + payload.size())) +
                         std::string(4, '\0') + "\x40" + static_cast<char>(protocol) + be(0) +
                         be_long(from) + be_long(to);
    const uint16_t sum = InternetChecksum().add(std::as_bytes(std::span(header))).value();
    header.replace(10, 2, be(sum));
    return ethernet(kRouterMac, 0x0800, header + payload);
}

std::string udp(uint32_t to, uint16_t port, const std::string& text, uint32_t from = kGuest) {
    return ip(17, from, to,
              be(1111) + be(port) + be(static_cast<uint16_t>(8 + text.size())) + be(0) + text);
}

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

// A socket of the host's, bound to a free port of its loopback.
struct HostSocket {
    explicit HostSocket(int type) : fd(::socket(AF_INET, type, 0)) {
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof(address);
        EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
        port = ntohs(address.sin_port);
        const timeval limit{20, 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    }
    UniqueFd fd;
    uint16_t port = 0;
};

uint16_t free_port(int type) {
    return HostSocket(type).port;
}

class NatTest : public testing::Test {
protected:
    void TearDown() override {
        if (nat_ != nullptr) nat_->stop();
    }
    void start(const SlirpOptions& options = {}, std::vector<PublishedPort> ports = {}) {
        auto made = Nat::create(options, std::move(ports));
        ASSERT_TRUE(made) << made.error().text();
        nat_ = std::move(*made);
        nat_->set_client_mtu(kNatMtu);
        const auto started = nat_->start(guest_);
        ASSERT_TRUE(started) << started.error().text();
        // It has to know the guest's address on the wire.
        send(arp(1, kRouter));
        ASSERT_FALSE(guest_.wait_for([](const std::string& f) { return is_arp_reply(f); }).empty());
    }
    static bool is_arp_reply(const std::string& frame) {
        return frame.substr(12, 2) == be(0x0806) && frame.substr(20, 2) == be(2);
    }
    size_t send(const std::string& frame, const NetFrameInfo& info = {}) {
        const auto part = std::as_bytes(std::span(frame));
        const NetFrame one{std::span(&part, 1), part.size(), info};
        return nat_->send(std::span(&one, 1));
    }
    std::string wait_for_text(const std::string& text) {
        return guest_.wait_for(
            [&](const std::string& f) { return f.find(text) != std::string::npos; });
    }

    Guest guest_;
    std::unique_ptr<Nat> nat_;
};

TEST_F(NatTest, GivesAnAddressAndAName) {
    start({.host_name = "birch"});
    std::string discover("\x01\x01\x06\0\0\0\0\x07", 8);  // RFC 2131, section 2
    discover += std::string(20, '\0') + kGuestMac + std::string(202, '\0');
    discover += std::string("\x63\x82\x53\x63\x35\x01\x01\xff", 8);
    send(ip(17, 0, 0xFFFFFFFF,
            be(68) + be(67) + be(static_cast<uint16_t>(8 + discover.size())) + be(0) + discover));
    const std::string offer = wait_for_text(std::string("\x35\x01\x02", 3));
    ASSERT_FALSE(offer.empty());
    EXPECT_EQ(offer.substr(14 + 20 + 8 + 16, 4), be_long(kGuest));
    EXPECT_NE(offer.find("birch"), std::string::npos);
    EXPECT_NE(offer.find(be_long(kRouter)), std::string::npos);
}

TEST_F(NatTest, AnswersAnEcho) {
    start();
    std::string echo = std::string("\x08\0\0\0\0\x01\0\x01", 8) + "leaf";
    const NetFrameInfo info{.needs_checksum = true, .checksum_start = 34, .checksum_offset = 2};
    send(ip(1, kGuest, kRouter, echo), info);
    EXPECT_FALSE(wait_for_text("leaf").empty()) << "also: the checksum was finished";
}

TEST_F(NatTest, TheHostsLoopbackIsReachedOnlyIfAllowed) {
    HostSocket server(SOCK_DGRAM);
    start({.host_loopback = true});
    send(udp(kRouter, server.port, "may I"));
    char text[16] = {};
    EXPECT_EQ(::recv(server.fd.get(), text, sizeof(text), 0), 5);
    EXPECT_STREQ(text, "may I");

    nat_->stop();
    start();
    send(udp(kRouter, server.port, "to 10.0.2.2"));
    send(udp(INADDR_LOOPBACK, server.port, "to 127.0.0.1"));
    send(udp(0, server.port, "to 0.0.0.0"));
    send(ip(1, kGuest, kRouter, std::string("\x08\0\xf7\xfd\0\x01\0\x01", 8)));
    const std::string last = guest_.wait_for([](const std::string& f) {
        return f.size() >= 36 && f[23] == 1 && f[34] == 0;  // the echo's reply
    });
    ASSERT_FALSE(last.empty()) << "all before it were looked at";
    EXPECT_EQ(nat_->refused(), 2U);
    EXPECT_EQ(::recv(server.fd.get(), text, sizeof(text), MSG_DONTWAIT), -1);
}

void knock(uint16_t port) {
    const HostSocket client(SOCK_DGRAM);
    const sockaddr_in to = loopback(port);
    ASSERT_EQ(::sendto(client.fd.get(), "knock", 5, 0, reinterpret_cast<const sockaddr*>(&to),
                       sizeof(to)),
              5);
}

TEST_F(NatTest, PublishesPorts) {
    const uint16_t port = free_port(SOCK_DGRAM);
    start({},
          {{.host_address = INADDR_LOOPBACK, .host_port = port, .guest_port = 53, .udp = true}});
    knock(port);
    const std::string frame = wait_for_text("knock");
    ASSERT_FALSE(frame.empty());
    EXPECT_EQ(frame.substr(30, 4), be_long(kGuest));
    EXPECT_EQ(frame.substr(36, 2), be(53));
}

TEST_F(NatTest, APortThatIsTakenIsAnError) {
    const HostSocket taken(SOCK_STREAM);
    ASSERT_EQ(::listen(taken.fd.get(), 1), 0);
    const PublishedPort port{
        .host_address = INADDR_LOOPBACK, .host_port = taken.port, .guest_port = 80};
    const auto nat = Nat::create({}, {port});
    ASSERT_FALSE(nat);
    EXPECT_NE(nat.error().text().find("publish 127.0.0.1:"), std::string_view::npos);

    start();
    EXPECT_FALSE(nat_->publish(port)) << "also while it runs";
    EXPECT_TRUE(nat_->published().empty());
}

TEST_F(NatTest, PublishesPortsWhileItRuns) {
    start();
    const PublishedPort port{.host_address = INADDR_LOOPBACK,
                             .host_port = free_port(SOCK_DGRAM),
                             .guest_port = 53,
                             .udp = true};
    ASSERT_TRUE(nat_->publish(port));
    EXPECT_EQ(nat_->published(), std::vector{port});
    knock(port.host_port);
    EXPECT_FALSE(wait_for_text("knock").empty());
    EXPECT_FALSE(nat_->publish(port)) << "once only";

    ASSERT_TRUE(nat_->unpublish(port));
    EXPECT_TRUE(nat_->published().empty());
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM, 0));
    const sockaddr_in again = loopback(port.host_port);
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&again), sizeof(again)) != 0)
        ASSERT_LT(std::chrono::steady_clock::now(), end) << "the host's port is not free again";
    const auto twice = nat_->unpublish(port);
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code(), ErrorCode::not_found);
}

TEST_F(NatTest, WhatIsPublishedBeforeTheDriverComesStays) {
    auto made = Nat::create({});
    ASSERT_TRUE(made);
    const PublishedPort port{.host_address = INADDR_LOOPBACK,
                             .host_port = free_port(SOCK_DGRAM),
                             .guest_port = 53,
                             .udp = true};
    ASSERT_TRUE((*made)->publish(port));
    nat_ = std::move(*made);
    nat_->set_client_mtu(kEthernetMtu);  // other than expected: a new stack
    ASSERT_TRUE(nat_->start(guest_));
    send(arp(1, kRouter));
    ASSERT_FALSE(guest_.wait_for([](const std::string& f) { return is_arp_reply(f); }).empty());
    knock(port.host_port);
    EXPECT_FALSE(wait_for_text("knock").empty());
}

TEST_F(NatTest, KeepsFramesWhileTheGuestHasNoRoom) {
    start();
    guest_.set_room(0);
    send(arp(1, kRouter));
    send(arp(1, kRouter + 1));
    guest_.set_room(10);
    nat_->receive_room_available();
    for (int i = 0; i < 2; ++i)
        EXPECT_FALSE(guest_.wait_for([](const std::string& f) { return is_arp_reply(f); }).empty());
}

TEST_F(NatTest, TakesOnlySoMuchAtOnce) {
    start();
    const std::string large = udp(0x0A0002C8, 9, std::string(60'000, 'x'));
    const auto part = std::as_bytes(std::span(large));
    std::vector<NetFrame> many(100, NetFrame{std::span(&part, 1), part.size(), {}});
    EXPECT_LT(nat_->send(many), 20U);
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (guest_.send_rooms == 0 && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    EXPECT_EQ(guest_.send_rooms, 1U);
}

TEST_F(NatTest, GarbageChangesNothing) {
    start();
    send("");
    send("short");
    send(std::string(65'549, '\xff'));
    for (const uint16_t type : std::array<uint16_t, 4>{0x0800, 0x0806, 0x86DD, 0x88F8})
        for (size_t size = 0; size < 80; ++size)
            send(ethernet(kRouterMac, type, std::string(size, static_cast<char>(size * 7))));
    send(arp(1, kRouter));
    EXPECT_FALSE(guest_.wait_for([](const std::string& f) { return is_arp_reply(f); }).empty());
}

}  // namespace
}  // namespace banyan
