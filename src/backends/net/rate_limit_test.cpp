// The bucket with a time of the test's; the limit with a network and a poller in memory.
#include "backends/net/rate_limit.hpp"

#include <gtest/gtest.h>
#include <map>
#include <poll.h>

#include "vm/testing/fake_network.hpp"

namespace banyan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RateBucket, LetsARateThroughAndATenthOfASecondAtOnce) {
    RateBucket bucket(1'000'000);
    RateBucket::Time now = seconds(5);
    uint64_t passed = 0;
    const auto pass = [&] {
        while (bucket.take(1000, now))
            passed += 1000;
    };
    pass();
    EXPECT_EQ(passed, 100'000U);
    EXPECT_EQ(bucket.turn(), now);
    for (int i = 0; i < 1000; ++i) {
        now += milliseconds(10);
        pass();
    }
    EXPECT_NEAR(static_cast<double>(passed), 10'100'000, 2000);
}

TEST(RateBucket, AFrameOfAnySizePassesAndIsOwed) {
    RateBucket bucket(1000);
    const RateBucket::Time now = seconds(1);
    EXPECT_TRUE(bucket.take(5000, now));
    EXPECT_FALSE(bucket.take(1, now + seconds(4)));
    EXPECT_EQ(bucket.turn(), now + milliseconds(4900));
    EXPECT_TRUE(bucket.take(1, now + seconds(5)));
}

TEST(RateBucket, WhatIsGivenBackMayPass) {
    RateBucket bucket(1000);
    EXPECT_TRUE(bucket.take(5000, seconds(1)));
    bucket.give_back(5000);
    EXPECT_TRUE(bucket.take(1, seconds(1)));
}

TEST(RateBucket, WithoutALimitAllPasses) {
    RateBucket bucket(0);
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(bucket.take(1 << 30, seconds(0)));
}

class TimersPoller final : public Poller {
public:
    Result<void> watch(int handle, Readiness, PollClient& client) override {
        clients_[handle] = &client;
        return {};
    }
    void set_interest(int, Readiness) override {}
    void unwatch(int handle) override { clients_.erase(handle); }
    // Waits until a timer rings.
    void turn() {
        std::vector<pollfd> handles;
        for (const auto& [handle, client] : clients_)
            handles.push_back({handle, POLLIN, 0});
        ASSERT_GT(::poll(handles.data(), handles.size(), 20'000), 0);
        for (const pollfd& one : handles)
            if (one.revents != 0) {
                ++rung;
                clients_.at(one.fd)->on_ready({.readable = true});
            }
    }
    size_t watched() const { return clients_.size(); }

    unsigned rung = 0;

private:
    std::map<int, PollClient*> clients_;
};

class Card final : public NetClient {
public:
    size_t on_frames(std::span<const NetFrame> frames) override {
        const size_t taken = std::min(frames.size(), room);
        got += taken;
        return taken;
    }
    void on_send_room() override { ++send_rooms; }
    size_t room = 1000;
    size_t got = 0;
    unsigned send_rooms = 0;
};

class RateLimitTest : public testing::Test {
protected:
    void start(uint64_t rate) {
        auto made = std::make_unique<FakeNetwork>();
        network = made.get();
        limit = std::move(*RateLimit::create(poller, rate, std::move(made)));
        ASSERT_TRUE(limit->start(card));
        while (poller.rung < 2)
            poller.turn();  // both timers do when a rate is set
        card.send_rooms = network->room_calls = 0;
    }
    size_t send(size_t count) const {
        const std::string bytes(1000, 'x');
        const auto part = std::as_bytes(std::span(bytes));
        const std::vector<NetFrame> frames(count, NetFrame{std::span(&part, 1), 1000, {}});
        return limit->send(frames);
    }
    size_t receive(size_t count) const {
        return network->deliver(std::vector<std::string>(count, std::string(1000, 'x')));
    }

    TimersPoller poller;
    Card card;
    FakeNetwork* network = nullptr;
    std::unique_ptr<RateLimit> limit;
};

TEST_F(RateLimitTest, HoldsBackWhatIsSentAndTellsWhenThereIsRoom) {
    start(100'000);
    EXPECT_EQ(send(50), 10U) << "a tenth of a second's";
    EXPECT_EQ(network->sent.size(), 10U);
    EXPECT_EQ(card.send_rooms, 0U);
    poller.turn();
    EXPECT_EQ(card.send_rooms, 1U);
    EXPECT_GE(send(40), 1U);
    EXPECT_GE(receive(50), 10U) << "the other direction has its own";
}

TEST_F(RateLimitTest, HoldsBackWhatIsReceived) {
    start(100'000);
    EXPECT_EQ(receive(50), 10U);
    poller.turn();
    EXPECT_EQ(network->room_calls, 1U);
}

TEST_F(RateLimitTest, WhatTheOthersDoNotTakeDoesNotCount) {
    start(100'000);
    network->room = 3;
    EXPECT_EQ(send(9), 3U);
    network->room = 100;
    EXPECT_GE(send(9), 7U);
    card.room = 2;
    EXPECT_EQ(receive(9), 2U);
    EXPECT_GE(receive(9), 2U);
}

TEST_F(RateLimitTest, ChangesWhileItRuns) {
    start(0);
    EXPECT_EQ(send(500), 500U);
    limit->set_rate(100'000);
    EXPECT_EQ(limit->rate(), 100'000U);
    EXPECT_EQ(send(50), 10U);
    limit->set_rate(0);
    poller.turn();
    EXPECT_GE(card.send_rooms, 1U) << "who waits is told";
    EXPECT_EQ(send(500), 500U);
}

TEST_F(RateLimitTest, StopsItsTimers) {
    start(100'000);
    limit->stop();
    EXPECT_EQ(poller.watched(), 0U);
    EXPECT_FALSE(network->running());
    network->can_start = false;
    EXPECT_FALSE(limit->start(card));
    EXPECT_EQ(poller.watched(), 0U);
}

}  // namespace
}  // namespace banyan
