#include "backends/vsock/vsock_sockets.hpp"

#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace banyan {
namespace {

// A poller that is turned by hand: run() asks poll(2) until nobody is ready any more.
class TurnedPoller final : public Poller {
public:
    Result<void> watch(int handle, Readiness interest, PollClient& client) override {
        watches[handle] = {interest, &client};
        return {};
    }
    void set_interest(int handle, Readiness interest) override {
        if (watches.contains(handle)) watches[handle].interest = interest;
    }
    void unwatch(int handle) override { watches.erase(handle); }

    void run() {
        for (unsigned turn = 0; turn < 100 && run_once(); ++turn) {
        }
    }

    struct Watch {
        Readiness interest;
        PollClient* client = nullptr;
    };
    std::map<int, Watch> watches;

private:
    bool run_once() {
        bool any = false;
        for (const auto& [handle, watch] : std::map(watches)) {
            pollfd asked{handle, 0, 0};
            if (watch.interest.readable) asked.events |= POLLIN;
            if (watch.interest.writable) asked.events |= POLLOUT;
            if (asked.events == 0 || ::poll(&asked, 1, 0) <= 0 || !watches.contains(handle))
                continue;
            const bool ended = (asked.revents & (POLLHUP | POLLERR)) != 0;
            watch.client->on_ready(
                {watch.interest.readable && (ended || (asked.revents & POLLIN) != 0),
                 watch.interest.writable && (ended || (asked.revents & POLLOUT) != 0)});
            any = true;
        }
        return any;
    }
};

class RecordingClient final : public VsockClient {
public:
    void on_stream_ready(uint32_t cookie, Readiness ready) override {
        ready_cookies.push_back(cookie);
        // As a device does: no more of it until it was looked at.
        if (ready.readable && stream != nullptr) stream->watch(cookie, {});
    }
    void on_connect(uint32_t guest_port, std::unique_ptr<VsockStream> made) override {
        ports.push_back(guest_port);
        stream = std::move(made);
    }
    void hold(bool) override {}

    std::vector<uint32_t> ports;
    std::vector<uint32_t> ready_cookies;
    std::unique_ptr<VsockStream> stream;
};

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
}

class VsockSocketsTest : public testing::Test {
protected:
    void SetUp() override {
        directory_ = testing::TempDir() + "banyan-vsock-XXXXXX";
        ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
        path_ = directory_ + "/vm";
        auto made = VsockSockets::create(poller_, path_);
        ASSERT_TRUE(made) << made.error().text();
        sockets_ = std::move(*made);
        sockets_->connect_client(client_);
    }
    void TearDown() override {
        client_.stream.reset();
        sockets_.reset();
        EXPECT_TRUE(poller_.watches.empty());
        std::filesystem::remove_all(directory_);
    }

    UniqueFd dial() {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_un address = address_of(path_);
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
                  0);
        return fd;
    }
    UniqueFd listen_at(const std::string& path) {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_un address = address_of(path);
        EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
                  0);
        EXPECT_EQ(::listen(fd.get(), 1), 0);
        return fd;
    }
    static void put(const UniqueFd& fd, std::string_view text) {
        ASSERT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    // What is there; "<end>" at the end of the stream.
    static std::string get(const UniqueFd& fd) {
        std::string text(4096, '\0');
        const ssize_t count = ::recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT);
        if (count == 0) return "<end>";
        text.resize(count < 0 ? 0 : static_cast<size_t>(count));
        return text;
    }

    TurnedPoller poller_;
    RecordingClient client_;
    std::string directory_;
    std::string path_;
    std::unique_ptr<VsockSockets> sockets_;
};

TEST_F(VsockSocketsTest, TheHostReachesAPortOfTheGuest) {
    const UniqueFd host = dial();
    put(host, "CONNECT 1234\nhello");
    poller_.run();
    ASSERT_EQ(client_.ports, std::vector<uint32_t>{1234});
    EXPECT_EQ(get(host), "") << "not before the guest has accepted";
    client_.stream->accepted(5000);
    EXPECT_EQ(get(host), "OK 5000\n");

    client_.stream->watch(7, {.readable = true});
    poller_.run();
    EXPECT_EQ(client_.ready_cookies, std::vector<uint32_t>{7});
    std::string text(100, '\0');
    const auto moved = client_.stream->read(std::as_writable_bytes(std::span(text)));
    EXPECT_EQ(text.substr(0, moved.bytes), "hello") << "what came behind the line";
    EXPECT_EQ(moved.state, VsockStream::State::waiting);
}

TEST_F(VsockSocketsTest, AGreetingMayComeInPieces) {
    const UniqueFd host = dial();
    put(host, "CONN");
    poller_.run();
    EXPECT_TRUE(client_.ports.empty());
    put(host, "ECT 1\r\n");
    poller_.run();
    EXPECT_EQ(client_.ports, std::vector<uint32_t>{1});
}

TEST_F(VsockSocketsTest, OtherGreetingsAreTurnedAway) {
    for (const std::string text :
         {"HELLO 1\n", "CONNECT\n", "CONNECT x\n", "CONNECT 1 2\n", "CONNECT -1\n",
          "CONNECT 4294967295\n", "CONNECT 99999999999\n", "connect 1\n", "\n",
          "CONNECT 00000000000000000000000000000000000001\n"}) {
        const UniqueFd host = dial();
        put(host, text);
        poller_.run();
        EXPECT_TRUE(client_.ports.empty()) << text;
        const std::string answer = get(host);
        EXPECT_TRUE(answer == "<end>" || answer.empty()) << text;
    }
    poller_.run();
    EXPECT_EQ(poller_.watches.size(), 2U) << "the listener, and the notifier";
}

TEST_F(VsockSocketsTest, WhoSaysNothingIsBounded) {
    std::vector<UniqueFd> waiting;
    for (size_t i = 0; i < VsockSockets::kMaxGreetings + 3; ++i) {
        waiting.push_back(dial());
        poller_.run();
    }
    EXPECT_EQ(get(waiting.back()), "<end>");
    EXPECT_EQ(get(waiting.front()), "");
}

TEST_F(VsockSocketsTest, ARefusedStreamIsClosed) {
    const UniqueFd host = dial();
    put(host, "CONNECT 1\n");
    poller_.run();
    client_.stream.reset();
    poller_.run();
    EXPECT_EQ(get(host), "<end>");
}

TEST_F(VsockSocketsTest, TheGuestReachesAPortOfTheHost) {
    EXPECT_EQ(sockets_->connect(80), nullptr) << "nobody is there";
    const UniqueFd listener = listen_at(path_ + "_80");
    auto stream = sockets_->connect(80);
    ASSERT_NE(stream, nullptr);
    const UniqueFd host(::accept(listener.get(), nullptr, nullptr));
    EXPECT_EQ(stream->write(std::as_bytes(std::span("ping", 4))).bytes, 4U);
    EXPECT_EQ(get(host), "ping");
    stream->end_writing();
    EXPECT_EQ(get(host), "<end>");
    put(host, "pong");
    std::array<std::byte, 4> answer{};
    EXPECT_EQ(stream->read(answer).bytes, 4U);
    EXPECT_EQ(stream->read(answer).state, VsockStream::State::waiting);
    stream.reset();
    poller_.run();
    EXPECT_EQ(get(host), "<end>");
}

TEST_F(VsockSocketsTest, EndsAndFullPeersAreSeen) {
    const UniqueFd listener = listen_at(path_ + "_80");
    auto stream = sockets_->connect(80);
    ASSERT_NE(stream, nullptr);
    UniqueFd host(::accept(listener.get(), nullptr, nullptr));
    const std::vector<std::byte> much(1 << 22);
    const auto part = stream->write(much);
    EXPECT_LT(part.bytes, much.size());
    EXPECT_EQ(part.state, VsockStream::State::waiting);
    host.reset();
    EXPECT_EQ(stream->write(much).state, VsockStream::State::ended);
    std::array<std::byte, 4> rest{};
    EXPECT_EQ(stream->read(rest).state, VsockStream::State::ended);
    stream->watch(3, {.readable = true});
    poller_.run();
    EXPECT_FALSE(client_.ready_cookies.empty());
}

TEST_F(VsockSocketsTest, AStreamThatWasLetGoTellsNothingAnyMore) {
    const UniqueFd listener = listen_at(path_ + "_80");
    auto stream = sockets_->connect(80);
    ASSERT_NE(stream, nullptr);
    const UniqueFd host(::accept(listener.get(), nullptr, nullptr));
    stream->watch(3, {.readable = true});
    put(host, "late");
    stream.reset();
    poller_.run();
    EXPECT_TRUE(client_.ready_cookies.empty());
}

TEST_F(VsockSocketsTest, TheSocketIsThisUsersAloneAndGoes) {
    struct stat info {};
    ASSERT_EQ(::stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    EXPECT_FALSE(VsockSockets::create(poller_, path_)) << "it is in use";
    EXPECT_FALSE(VsockSockets::create(poller_, std::string(200, 'x')));
    EXPECT_TRUE(std::filesystem::exists(path_));
    sockets_.reset();
    EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace banyan
