#include "host/linux/stream_server.hpp"

#include <array>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <vector>

#include "host/linux/event_loop.hpp"

namespace banyan {
namespace {

class StreamServerTest : public testing::Test {
protected:
    // Sends back what comes; "end" ends it, "wait" reads no more.
    class Echo final : public StreamSession {
    public:
        Echo(StreamServerTest& test, SocketConnection& client) : test_(test), client_(client) {
            test_.note("new;");
            client_.send("hello;");
        }
        ~Echo() override { test_.note("gone;"); }
        void received(std::string_view bytes) override {
            client_.send(bytes);
            if (bytes == "end") client_.end();
            if (bytes == "wait") client_.set_reading(false);
            test_.note(bytes);
        }

    private:
        StreamServerTest& test_;
        SocketConnection& client_;
    };

    void SetUp() override {
        auto made = EventLoop::create();
        ASSERT_TRUE(made);
        loop = std::move(*made);
        directory = testing::TempDir() + "banyan-stream-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        path = directory + "/socket";
        auto listening =
            StreamServer::listen(*loop, {path, "", ""}, [this](SocketConnection& client) {
                newest = &client;
                return std::make_unique<Echo>(*this, client);
            });
        ASSERT_TRUE(listening) << listening.error().text();
        server = std::move(*listening);
    }
    void TearDown() override {
        server.reset();
        EXPECT_FALSE(std::filesystem::exists(path));
        std::filesystem::remove_all(directory);
    }

    UniqueFd connect() const {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        std::memcpy(name.sun_path, path.data(), path.size());
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
        return fd;
    }
    UniqueFd served() {
        UniqueFd fd = connect();
        run_until("new;");
        EXPECT_EQ(hear(fd), "hello;");
        return fd;
    }
    void note(std::string_view what) {
        seen += what;
        if (!awaited.empty() && seen.ends_with(awaited)) loop->stop();
    }
    void run_until(std::string_view end) {
        awaited = end;
        loop->run();
        awaited.clear();
    }
    static void say(const UniqueFd& fd, std::string_view text) {
        EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    static std::string hear(const UniqueFd& fd) {
        std::array<char, 64> buffer{};
        const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
        return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(count, 0))};
    }

    std::unique_ptr<EventLoop> loop;
    std::string directory;
    std::string path;
    std::unique_ptr<StreamServer> server;
    SocketConnection* newest = nullptr;
    std::string seen;
    std::string awaited;
};

TEST_F(StreamServerTest, ClientsDoNotSeeEachOther) {
    UniqueFd first = served();
    const UniqueFd second = served();
    say(first, "one");
    run_until("one");
    say(second, "two");
    run_until("two");
    EXPECT_EQ(hear(first), "one");
    EXPECT_EQ(hear(second), "two");

    first.reset();
    run_until("gone;");
    say(second, "three");
    run_until("three");
    EXPECT_EQ(hear(second), "three");
}

TEST_F(StreamServerTest, MoreThanItServesAreTurnedAway) {
    std::vector<UniqueFd> clients;
    for (size_t i = 0; i < StreamServer::kMostClients; ++i)
        clients.push_back(served());
    const UniqueFd last = connect();
    say(clients[0], "x");
    run_until("x");
    EXPECT_EQ(hear(last), "");

    clients.pop_back();
    run_until("gone;");
    EXPECT_EQ(hear(clients[0]), "x");
    const UniqueFd next = served();
}

TEST_F(StreamServerTest, EndsWhomItIsToldToAfterTheLastWord) {
    const UniqueFd client = served();
    say(client, "end");
    run_until("gone;");
    EXPECT_EQ(hear(client), "end");
    EXPECT_EQ(hear(client), "");
}

TEST_F(StreamServerTest, AClientThatTakesNothingIsLetGo) {
    const UniqueFd client = served();
    newest->send(std::string(2 * SocketConnection::kMostKept, 'x'));
    run_until("gone;");
}

TEST_F(StreamServerTest, WhatIsNotReadWaits) {
    const UniqueFd first = served();
    SocketConnection* const held = newest;
    say(first, "wait");
    run_until("wait");
    say(first, "later");
    const UniqueFd second = served();
    EXPECT_EQ(seen.find("later"), std::string::npos);
    held->set_reading(true);
    run_until("later");
}

TEST_F(StreamServerTest, APathThatIsTooLongIsRefused) {
    const auto made = StreamServer::listen(*loop, {std::string(200, 'x'), "", ""}, {});
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().text().find("too long"), std::string::npos);
}

}  // namespace
}  // namespace banyan
