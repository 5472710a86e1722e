#include "host/linux/socket_server.hpp"

#include <array>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "host/linux/event_loop.hpp"

namespace banyan {
namespace {

TEST(SocketAddress, IsReadAsPeopleWriteIt) {
    EXPECT_EQ(*parse_socket_address("0.0.0.0:12"), (SocketAddress{"", "0.0.0.0", "12"}));
    EXPECT_EQ(*parse_socket_address("localhost:12"), (SocketAddress{"", "localhost", "12"}));
    EXPECT_EQ(*parse_socket_address("12"), (SocketAddress{"", "127.0.0.1", "12"}));
    EXPECT_EQ(*parse_socket_address(":12"), (SocketAddress{"", "127.0.0.1", "12"}));
    EXPECT_EQ(*parse_socket_address("[::1]:12"), (SocketAddress{"", "::1", "12"}));
    EXPECT_EQ(*parse_socket_address("unix:/tmp/x"), (SocketAddress{"/tmp/x", "", ""}));
}

TEST(SocketAddress, WhatIsNoneIsRefused) {
    const std::string long_path = "unix:" + std::string(200, 'x');
    for (const std::string_view text : {"", "host", "host:", "host:x", "host:65536", "::1:12",
                                        "unix:", long_path.c_str(), "12,wait"})
        EXPECT_FALSE(parse_socket_address(text)) << text;
}

class SocketServerTest : public testing::Test {
protected:
    void SetUp() override {
        auto made = EventLoop::create();
        ASSERT_TRUE(made);
        loop = std::move(*made);
        directory = testing::TempDir() + "banyan-socket-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        path = directory + "/socket";
        auto listening = SocketServer::listen(*loop, {path, "", ""},
                                              {.connected = [this] { note("connected;"); },
                                               .received =
                                                   [this](std::string_view bytes) {
                                                       server->send(bytes);
                                                       note(bytes);
                                                   },
                                               .disconnected = [this] { note("gone;"); }});
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
    void note(std::string_view what) {
        seen += what;
        if (seen.ends_with(awaited)) loop->stop();
    }
    void run_until(std::string_view end) {
        awaited = end;
        loop->run();
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
    std::unique_ptr<SocketServer> server;
    std::string seen;
    std::string awaited;
};

TEST_F(SocketServerTest, BytesComeAndGo) {
    UniqueFd client = connect();
    say(client, "hello");
    run_until("hello");
    EXPECT_EQ(hear(client), "hello");

    client.reset();
    run_until("gone;");
    EXPECT_EQ(seen, "connected;hellogone;");
}

TEST_F(SocketServerTest, ASecondClientIsTurnedAway) {
    const UniqueFd first = connect();
    run_until("connected;");
    const UniqueFd second = connect();
    say(first, "still here");
    run_until("here");

    EXPECT_EQ(hear(first), "still here");
    EXPECT_EQ(seen, "connected;still here");
}

TEST_F(SocketServerTest, AnotherMayComeWhenOneHasGone) {
    { const UniqueFd first = connect(); }
    run_until("gone;");
    const UniqueFd second = connect();
    say(second, "x");
    run_until("x");

    EXPECT_EQ(hear(second), "x");
}

TEST_F(SocketServerTest, AClientThatTakesNothingIsLetGo) {
    const UniqueFd client = connect();
    run_until("connected;");

    server->send(std::string(2 * SocketServer::kMostKept, 'x'));
    run_until("gone;");

    EXPECT_EQ(seen, "connected;gone;");
}

TEST_F(SocketServerTest, WithoutAClientNothingIsSent) {
    server->send("to nobody");
    const UniqueFd client = connect();
    say(client, "y");
    run_until("y");

    EXPECT_EQ(hear(client), "y");
}

TEST_F(SocketServerTest, IsForItsUserAlone) {
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);

    EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(SocketServerTest, APlaceThatIsTakenIsRefused) {
    const auto second = SocketServer::listen(*loop, {path, "", ""}, {});

    ASSERT_FALSE(second);
    EXPECT_NE(second.error().text().find("listen at"), std::string::npos);
}

TEST(SocketServerByNetwork, SaysWhichPortItHas) {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    const auto server = SocketServer::listen(**loop, {"", "127.0.0.1", "0"}, {});

    ASSERT_TRUE(server) << server.error().text();
    EXPECT_TRUE((*server)->place().starts_with("127.0.0.1:"));
    EXPECT_FALSE((*server)->place().ends_with(":0"));
}

}  // namespace
}  // namespace banyan
