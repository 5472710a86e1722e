#include "backends/char/char_stream.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <map>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>

namespace banyan {
namespace {

// A poller that is turned by hand: run_ready() asks poll(2) once and calls who is ready.
class ManualPoller final : public Poller {
public:
    Result<void> watch(int handle, Readiness interest, PollClient& client) override {
        watches[handle] = {interest, &client};
        return {};
    }
    void set_interest(int handle, Readiness interest) override {
        if (watches.contains(handle)) watches[handle].interest = interest;
    }
    void unwatch(int handle) override { watches.erase(handle); }

    void run_ready();

    struct Watch {
        Readiness interest;
        PollClient* client = nullptr;
    };
    std::map<int, Watch> watches;
};

Readiness poll_once(int handle, Readiness interest) {
    pollfd asked{handle, 0, 0};
    if (interest.readable) asked.events |= POLLIN;
    if (interest.writable) asked.events |= POLLOUT;
    ::poll(&asked, 1, 0);
    const bool ended = (asked.revents & (POLLHUP | POLLERR)) != 0;
    return {interest.readable && (ended || (asked.revents & POLLIN) != 0),
            interest.writable && (ended || (asked.revents & POLLOUT) != 0)};
}

void ManualPoller::run_ready() {
    const auto snapshot = watches;
    for (const auto& [handle, watch] : snapshot) {
        const Readiness ready = poll_once(handle, watch.interest);
        if (ready.readable || ready.writable) watch.client->on_ready(ready);
    }
}

struct NonBlockingPipe {
    NonBlockingPipe() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
    }
    int unread() const {
        int bytes = -1;
        EXPECT_EQ(::ioctl(read_end.get(), FIONREAD, &bytes), 0);
        return bytes;
    }
    UniqueFd read_end;
    UniqueFd write_end;
};

class Device final : public CharClient {
public:
    size_t receive_room() const override { return room; }
    void on_receive(std::span<const uint8_t> bytes) override {
        EXPECT_LE(bytes.size(), room);
        received.append(bytes.begin(), bytes.end());
        room -= bytes.size();
    }
    void on_writable() override { ++writable_calls; }

    size_t room = 1000;
    std::string received;
    int writable_calls = 0;
};

std::span<const uint8_t> as_bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class CharStreamTest : public testing::Test {
protected:
    void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }

    void make(CharStreamConfig config) {
        config.name = "the console";
        config.in = StreamFd::own(UniqueFd(::dup(input.read_end.get())));
        config.out = StreamFd::own(std::move(output.write_end));
        stream = std::make_unique<CharStream>(poller, std::move(config));
        ASSERT_TRUE(stream->connect(device));
    }
    void type(const std::string& text) {
        ASSERT_EQ(::write(input.write_end.get(), text.data(), text.size()),
                  static_cast<ssize_t>(text.size()));
        poller.run_ready();
    }
    std::string shown() {
        std::array<char, 70000> buffer{};
        const ssize_t count = ::read(output.read_end.get(), buffer.data(), buffer.size());
        return {buffer.data(), count > 0 ? static_cast<size_t>(count) : 0};
    }
    void fill_output() {
        const std::string block(4096, 'x');
        while (stream->write(as_bytes(block)) == block.size()) {
        }
    }

    NonBlockingPipe input;
    NonBlockingPipe output;
    ManualPoller poller;
    Device device;
    std::unique_ptr<CharStream> stream;
};

TEST_F(CharStreamTest, CarriesBothDirections) {
    make({});

    type("ls\n");
    const size_t taken = stream->write(as_bytes("file\n"));

    EXPECT_EQ(device.received, "ls\n");
    EXPECT_EQ(taken, 5U);
    EXPECT_EQ(shown(), "file\n");
}

TEST_F(CharStreamTest, InputWaitsForRoom) {
    make({});
    device.room = 2;

    type("abcde");
    EXPECT_EQ(device.received, "ab");
    device.room = 3;
    stream->receive_room_available();
    poller.run_ready();

    EXPECT_EQ(device.received, "abcde");
}

TEST_F(CharStreamTest, TypeAheadIsBoundedAndGoesOn) {
    make({});
    device.room = 0;
    const std::string much(CharStream::kTypeAhead + 100, 'k');
    type(much);
    for (int i = 0; i < 20; ++i)
        poller.run_ready();
    EXPECT_EQ(input.unread(), 100);

    device.room = 100000;
    stream->receive_room_available();
    for (int i = 0; i < 20; ++i)
        poller.run_ready();

    EXPECT_EQ(device.received, much);
}

TEST_F(CharStreamTest, TheEndOfInputIsOnlyThat) {
    make({});
    type("x");
    input.write_end.reset();

    poller.run_ready();
    poller.run_ready();
    stream->write(as_bytes("still here"));

    EXPECT_EQ(device.received, "x");
    EXPECT_EQ(shown(), "still here");
}

TEST_F(CharStreamTest, AFullOutputIsTriedAgainWhenItHasRoom) {
    make({});
    fill_output();

    EXPECT_EQ(stream->write(as_bytes("y")), 0U);
    poller.run_ready();
    EXPECT_EQ(device.writable_calls, 0);
    shown();
    poller.run_ready();

    EXPECT_EQ(device.writable_calls, 1);
    EXPECT_EQ(stream->write(as_bytes("y")), 1U);
}

TEST_F(CharStreamTest, AFullOutputDropsWhenToldTo) {
    CharStreamConfig config;
    config.drop_when_full = true;
    make(std::move(config));
    const std::string block(4096, 'x');

    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(stream->write(as_bytes(block)), block.size());
}

TEST_F(CharStreamTest, AClosedOutputSwallowsEverything) {
    make({});
    output.read_end.reset();

    EXPECT_EQ(stream->write(as_bytes("lost")), 4U);
    EXPECT_EQ(stream->write(as_bytes("lost too")), 8U);
    type("x");

    EXPECT_EQ(device.received, "x");
}

TEST_F(CharStreamTest, TheLeaveKeyIsSeenAlthoughTheGuestReadsNothing) {
    int left = 0;
    CharStreamConfig config;
    config.leave_key = uint8_t{0x1D};
    config.on_leave = [&] { ++left; };
    make(std::move(config));
    device.room = 0;

    type("some text");
    type("\x1d");

    EXPECT_EQ(left, 1);
    EXPECT_EQ(device.received, "");
}

TEST_F(CharStreamTest, WithoutALeaveKeyAllBytesPass) {
    make({});

    type("\x1d\x03");

    EXPECT_EQ(device.received, "\x1d\x03");
}

}  // namespace
}  // namespace banyan
