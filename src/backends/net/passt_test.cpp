// With the real passt: it answers, keeps the guest from the host's loopback, and ends with us.
#include "backends/net/passt.hpp"

#include <arpa/inet.h>
#include <array>
#include <condition_variable>
#include <csignal>
#include <gtest/gtest.h>
#include <mutex>
#include <sys/socket.h>

#include "network/packets/testing/packet_builder.hpp"

namespace banyan {
namespace {

constexpr std::chrono::seconds kPasstLimit{20};
constexpr uint32_t kPasstGuest = 0x0A00020F;

class PasstGuest final : public NetClient {
public:
    size_t on_frames(std::span<const NetFrame> frames) override {
        const std::lock_guard lock(mutex_);
        for (const NetFrame& frame : frames)
            frames_.push_back(whole(frame));
        changed_.notify_all();
        return frames.size();
    }
    void on_link_changed(bool) override {
        const std::lock_guard lock(mutex_);
        down_ = true;
        changed_.notify_all();
    }
    template <class Fits>
    bool sees(Fits fits) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kPasstLimit,
                                 [&] { return std::any_of(frames_.begin(), frames_.end(), fits); });
    }
    bool goes_down() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kPasstLimit, [&] { return down_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<FrameBytes> frames_;
    bool down_ = false;
};

class PasstTest : public testing::Test {
protected:
    void SetUp() override {
        if (find_passt().empty()) GTEST_SKIP() << "there is no passt";
    }
    void TearDown() override {
        if (passt_ == nullptr) return;
        passt_->stop();
        const pid_t process = passt_->process();
        passt_.reset();
        EXPECT_EQ(::kill(process, 0), -1) << "nothing is left over";
    }
    void start(const PasstOptions& options) {
        auto made = Passt::create(options);
        ASSERT_TRUE(made) << made.error().text();
        passt_ = std::move(*made);
        ASSERT_TRUE(passt_->start(guest_));
        ArpPacket arp;
        arp.operation = uint16_t{1};
        arp.sender_mac = test_mac(1);
        arp.sender_ip = kPasstGuest;
        arp.target_ip = uint32_t{0x0A000202};
        send(arp_frame(test_mac(1), arp));
        ASSERT_TRUE(guest_.sees([this](const FrameBytes& frame) {
            const auto ethernet = header_at<EthernetHeader>(frame, 0);
            router_ = ethernet->source;
            return ethernet->type == ethertype::kArp;
        }));
    }
    void send(const FrameBytes& frame, NetFrameInfo info = {}) {
        const WholeFrame one(frame, info);
        const NetFrame sent = one.get();
        EXPECT_EQ(passt_->send(std::span(&sent, 1)), 1U);
    }
    void send_udp(uint32_t to, uint16_t port) {
        FrameBytes frame = udp_frame(
            {.to = router_, .from = test_mac(1), .source = kPasstGuest, .destination = to}, 1111,
            port, counting_bytes(5));
        send(frame, {.needs_checksum = true, .checksum_start = 34, .checksum_offset = 6});
    }

    PasstGuest guest_;
    MacAddress router_;
    std::unique_ptr<Passt> passt_;
};

struct UdpServer {
    UdpServer() : fd(::socket(AF_INET, SOCK_DGRAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
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

TEST_F(PasstTest, ReachesTheHostsLoopbackIfAllowed) {
    const UdpServer server;
    start({.host_loopback = true});
    send_udp(0x0A000202, server.port);
    std::array<char, 16> text{};
    EXPECT_EQ(::recv(server.fd.get(), text.data(), text.size(), 0), 5);
}

TEST_F(PasstTest, IsKeptFromItOtherwise) {
    const UdpServer server;
    start({});
    send_udp(INADDR_LOOPBACK, server.port);
    send_udp(0, server.port);
    EXPECT_EQ(passt_->refused(), 2U);
    std::array<char, 16> text{};
    EXPECT_EQ(::recv(server.fd.get(), text.data(), text.size(), MSG_DONTWAIT), -1);
}

TEST_F(PasstTest, PublishesPorts) {
    uint16_t port = 0;
    {
        const UdpServer free;
        port = free.port;
    }
    start(
        {.published = {
             {.host_address = INADDR_LOOPBACK, .host_port = port, .guest_port = 53, .udp = true}}});
    const UdpServer client;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);
    ASSERT_EQ(
        ::sendto(client.fd.get(), "knock", 5, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 5);
    EXPECT_TRUE(guest_.sees([](const FrameBytes& frame) {
        return std::string_view(reinterpret_cast<const char*>(frame.data()), frame.size())
                   .find("knock") != std::string_view::npos;
    }));
}

TEST_F(PasstTest, ALinkWithoutItsProcessIsDown) {
    start({});
    ::kill(passt_->process(), SIGKILL);
    EXPECT_TRUE(guest_.goes_down());
    EXPECT_FALSE(passt_->link_up());
    send_udp(0x0A000202, 9);
}

TEST(Passt, SaysWhatToInstall) {
    const auto passt = Passt::create({.program = "/nowhere/passt"});
    ASSERT_FALSE(passt);
    EXPECT_NE(passt.error().text().find("install the package passt"), std::string_view::npos);
}

}  // namespace
}  // namespace banyan
