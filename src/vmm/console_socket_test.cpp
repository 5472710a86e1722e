#include "vmm/console_socket.hpp"

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/un.h>

#include "host/linux/event_loop.hpp"
#include "host/linux/ticker.hpp"

namespace banyan {
namespace {

// A device that takes `room` characters.
class Typewriter final : public CharClient {
public:
    size_t receive_room() const override { return room; }
    void on_receive(std::span<const uint8_t> bytes) override {
        typed.append(bytes.begin(), bytes.end());
        room -= bytes.size();
    }
    void on_writable() override { ++writable; }

    std::string typed;
    size_t room = 1000;
    int writable = 0;
};

class ConsoleSocketTest : public testing::Test {
protected:
    void SetUp() override {
        auto made = EventLoop::create();
        ASSERT_TRUE(made);
        loop = std::move(*made);
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        auto created = ConsoleSocket::create(*loop, directory + "/c", directory + "/log");
        ASSERT_TRUE(created) << created.error().text();
        console = std::move(*created);
        console->connect(device);
    }
    void TearDown() override {
        console.reset();
        EXPECT_FALSE(std::filesystem::exists(directory + "/c"));
        std::filesystem::remove_all(directory);
    }

    UniqueFd connect() const {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        const std::string path = directory + "/c";
        std::memcpy(name.sun_path, path.data(), path.size());
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
        return fd;
    }
    void run_until(const std::function<bool()>& done) {
        const auto ticker = Ticker::create(*loop, std::chrono::milliseconds(1), [&] {
            if (done()) loop->stop();
        });
        loop->run();
    }
    // What it hears until that ends in `end`.
    std::string hear(const UniqueFd& fd, std::string_view end) {
        std::string heard;
        run_until([&] {
            std::array<char, 64> buffer{};
            const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
            if (count > 0) heard.append(buffer.data(), static_cast<size_t>(count));
            return heard.ends_with(end);
        });
        return heard;
    }
    static void type(const UniqueFd& fd, std::string_view text) {
        EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    size_t show(std::string_view text) {
        return console->write({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    std::string log() const {
        std::stringstream text;
        text << std::ifstream(directory + "/log").rdbuf();
        return text.str();
    }

    std::string directory = testing::TempDir() + "banyan-console-XXXXXX";
    std::unique_ptr<EventLoop> loop;
    Typewriter device;
    std::unique_ptr<ConsoleSocket> console;
};

TEST_F(ConsoleSocketTest, AllClientsSeeTheSame) {
    const UniqueFd first = connect();
    EXPECT_EQ(show("hello"), 5U);
    EXPECT_EQ(hear(first, "hello"), "hello");
    const UniqueFd second = connect();
    EXPECT_EQ(hear(second, "hello"), "hello") << "what was there before";
    show(" again");
    EXPECT_EQ(hear(first, "again"), " again");
    EXPECT_EQ(hear(second, "again"), " again");
    EXPECT_EQ(log(), "hello again");
}

TEST_F(ConsoleSocketTest, OnlyTheLastPartIsShownAgain) {
    show(std::string(3 * ConsoleSocket::kMostRecent, 'x') + "end");
    const UniqueFd client = connect();
    EXPECT_EQ(hear(client, "end").size(), ConsoleSocket::kMostRecent);
}

TEST_F(ConsoleSocketTest, AllClientsType) {
    const UniqueFd first = connect();
    const UniqueFd second = connect();
    type(first, "a");
    run_until([&] { return device.typed == "a"; });
    type(second, "b");
    run_until([&] { return device.typed == "ab"; });
}

TEST_F(ConsoleSocketTest, WhatTheDeviceDoesNotTakeWaits) {
    device.room = 2;
    const UniqueFd client = connect();
    type(client, "abcd");
    run_until([&] { return device.typed == "ab"; });
    device.room = 10;
    console->receive_room_available();
    run_until([&] { return device.typed == "abcd"; });
}

TEST_F(ConsoleSocketTest, NobodyTypesFurtherAheadThanThereIsRoom) {
    device.room = 0;
    const UniqueFd client = connect();
    size_t taken = 0;
    const std::string text(4096, 'x');
    // The kernel's buffers fill up, and then it takes no more.
    int full = 0;
    run_until([&] {
        const ssize_t count = ::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL);
        if (count > 0) taken += static_cast<size_t>(count);
        full = count < 0 ? full + 1 : 0;
        return full == 20;
    });
    device.room = taken;
    console->receive_room_available();
    run_until([&] { return device.typed.size() == taken; });
}

TEST_F(ConsoleSocketTest, AGuestThatWritesFasterThanTheLoopWaits) {
    const std::string much(2 * ConsoleSocket::kMostWaiting, 'x');
    EXPECT_EQ(show(much), ConsoleSocket::kMostWaiting);
    run_until([&] { return device.writable == 1; });
    EXPECT_EQ(show("more"), 4U);
}

TEST_F(ConsoleSocketTest, AfterTheLastWordNothingIsCalled) {
    show("last");
    console->disconnect();
    const UniqueFd client = connect();
    EXPECT_EQ(hear(client, "last"), "last");
    type(client, "x");
    EXPECT_EQ(device.typed, "");
}

}  // namespace
}  // namespace banyan
