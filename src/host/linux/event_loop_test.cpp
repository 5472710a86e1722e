#include "host/linux/event_loop.hpp"

#include <array>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <thread>
#include <unistd.h>

#include "host/posix/notifier.hpp"

namespace banyan {
namespace {

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
    }
    UniqueFd read_end;
    UniqueFd write_end;
};

class Recorder final : public PollClient {
public:
    explicit Recorder(std::function<void(Readiness)> action) : action_(std::move(action)) {}
    void on_ready(Readiness ready) override {
        ++calls;
        action_(ready);
    }
    int calls = 0;

private:
    std::function<void(Readiness)> action_;
};

class EventLoopTest : public testing::Test {
protected:
    void SetUp() override {
        auto made = EventLoop::create();
        ASSERT_TRUE(made);
        loop = std::move(*made);
    }
    std::unique_ptr<EventLoop> loop;
};

TEST_F(EventLoopTest, TellsOfBytesToRead) {
    Pipe pipe;
    char got = 0;
    Recorder reader([&](Readiness ready) {
        EXPECT_TRUE(ready.readable);
        EXPECT_FALSE(ready.writable);
        EXPECT_EQ(::read(pipe.read_end.get(), &got, 1), 1);
        loop->stop();
    });
    ASSERT_TRUE(loop->watch(pipe.read_end.get(), {.readable = true}, reader));
    ASSERT_EQ(::write(pipe.write_end.get(), "x", 1), 1);

    loop->run();
    loop->unwatch(pipe.read_end.get());

    EXPECT_EQ(got, 'x');
    EXPECT_EQ(reader.calls, 1);
}

TEST_F(EventLoopTest, TellsOfAClosedPeerOnceAskedFor) {
    Pipe pipe;
    Recorder reader([&](Readiness ready) {
        EXPECT_TRUE(ready.readable);
        loop->unwatch(pipe.read_end.get());
        loop->stop();
    });
    ASSERT_TRUE(loop->watch(pipe.read_end.get(), {}, reader));
    pipe.write_end.reset();
    loop->set_interest(pipe.read_end.get(), {.readable = true});

    loop->run();

    EXPECT_EQ(reader.calls, 1);
}

TEST_F(EventLoopTest, AHandleWithoutInterestStaysSilentWhenItsPeerCloses) {
    Pipe silent;
    Pipe other;
    Recorder nobody([](Readiness) {});
    Recorder reader([&](Readiness) { loop->stop(); });
    ASSERT_TRUE(loop->watch(silent.read_end.get(), {}, nobody));
    ASSERT_TRUE(loop->watch(other.read_end.get(), {.readable = true}, reader));
    silent.write_end.reset();
    ASSERT_EQ(::write(other.write_end.get(), "x", 1), 1);

    loop->run();
    loop->unwatch(silent.read_end.get());
    loop->unwatch(other.read_end.get());

    EXPECT_EQ(nobody.calls, 0);
}

TEST_F(EventLoopTest, WhatNeverWaitsIsAlwaysReady) {
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    Recorder client([&](Readiness ready) {
        EXPECT_TRUE(ready.readable);
        EXPECT_FALSE(ready.writable);
        loop->set_interest(null.get(), {});
        loop->stop();
    });
    ASSERT_TRUE(loop->watch(null.get(), {.readable = true}, client));

    loop->run();
    loop->unwatch(null.get());

    EXPECT_EQ(client.calls, 1);
}

TEST_F(EventLoopTest, AnotherThreadsUnwatchWaitsForTheCallToEnd) {
    Pipe pipe;
    Pipe in_call;
    std::atomic<bool> ended{false};
    Recorder client([&](Readiness) {
        EXPECT_EQ(::write(in_call.write_end.get(), "x", 1), 1);
        std::this_thread::yield();
        ended = true;
    });
    ASSERT_TRUE(loop->watch(pipe.read_end.get(), {.readable = true}, client));
    ASSERT_EQ(::write(pipe.write_end.get(), "x", 1), 1);
    std::thread runner([&] { loop->run(); });
    char byte = 0;
    while (::read(in_call.read_end.get(), &byte, 1) != 1)
        std::this_thread::yield();

    loop->unwatch(pipe.read_end.get());

    EXPECT_TRUE(ended);
    loop->stop();
    runner.join();
}

TEST_F(EventLoopTest, AStopBeforeRunIsRemembered) {
    Pipe pipe;
    Recorder client([](Readiness) {});
    ASSERT_TRUE(loop->watch(pipe.write_end.get(), {.writable = true}, client));
    loop->stop();

    loop->run();
    loop->unwatch(pipe.write_end.get());

    EXPECT_EQ(client.calls, 0);
}

TEST_F(EventLoopTest, ANotifierRunsItsActionOnTheLoop) {
    int runs = 0;
    auto notifier = Notifier::create(*loop, [&] {
        ++runs;
        loop->stop();
    });
    ASSERT_TRUE(notifier);
    std::thread other([&] {
        (*notifier)->notify();
        (*notifier)->notify();
    });
    other.join();

    loop->run();

    EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace banyan
