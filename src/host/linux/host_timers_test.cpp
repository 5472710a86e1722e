#include "host/linux/host_timers.hpp"

#include <chrono>
#include <future>
#include <gtest/gtest.h>

namespace banyan {
namespace {

class Ringing final : public TimerClient {
public:
    explicit Ringing(const Clock& clock) : clock_(clock) {}
    void on_timer(unsigned cookie) override { rung.set_value({cookie, clock_.now_ns()}); }

    struct Ring {
        unsigned cookie;
        uint64_t at_ns;
    };
    std::promise<Ring> rung;

private:
    const Clock& clock_;
};

TEST(HostTimers, RingNotBeforeTheirDeadline) {
    const HostClock clock(std::nullopt);
    HostTimers timers(clock);
    Ringing client(clock);
    const auto timer = timers.create_timer(client, 7);
    const uint64_t deadline = clock.now_ns() + 1'000'000;

    timer->arm(deadline);
    const auto ring = client.rung.get_future().get();

    EXPECT_EQ(ring.cookie, 7U);
    EXPECT_GE(ring.at_ns, deadline);
}

TEST(HostTimers, AnEarlierOneArmedLaterRingsFirst) {
    const HostClock clock(std::nullopt);
    HostTimers timers(clock);
    Ringing late(clock);
    Ringing early(clock);
    const auto late_timer = timers.create_timer(late, 0);
    const auto early_timer = timers.create_timer(early, 1);

    late_timer->arm(~uint64_t{0});
    early_timer->arm(0);

    EXPECT_EQ(early.rung.get_future().get().cookie, 1U);
}

TEST(HostTimers, AreSilentWhileTheClockIsPausedAndRingAfter) {
    HostClock clock(std::nullopt);
    HostTimers timers(clock);
    clock.pause();
    timers.clock_changed();
    Ringing client(clock);
    const auto timer = timers.create_timer(client, 0);
    const uint64_t paused_at = clock.now_ns();
    timer->arm(paused_at + 1);

    clock.resume();
    timers.clock_changed();

    EXPECT_GE(client.rung.get_future().get().at_ns, paused_at + 1);
}

TEST(HostTimers, ACancelledOneDoesNotRing) {
    const HostClock clock(std::nullopt);
    HostTimers timers(clock);
    Ringing cancelled(clock);
    Ringing other(clock);
    const auto cancelled_timer = timers.create_timer(cancelled, 0);
    const auto other_timer = timers.create_timer(other, 1);
    const uint64_t soon = clock.now_ns() + 50'000'000;
    cancelled_timer->arm(soon);
    other_timer->arm(soon + 1'000'000);

    cancelled_timer->cancel();
    other.rung.get_future().wait();

    EXPECT_NE(cancelled.rung.get_future().wait_for(std::chrono::seconds(0)),
              std::future_status::ready);
}

class Rearming final : public TimerClient {
public:
    void on_timer(unsigned) override {
        if (++rings == 100) {
            done.set_value();
        } else {
            timer->arm(0);
        }
    }
    Timer* timer = nullptr;
    int rings = 0;
    std::promise<void> done;
};

TEST(HostTimers, AClientMayArmWithinItsRing) {
    const HostClock clock(std::nullopt);
    HostTimers timers(clock);
    Rearming client;
    const auto timer = timers.create_timer(client, 0);
    client.timer = timer.get();

    timer->arm(0);
    client.done.get_future().wait();

    EXPECT_EQ(client.rings, 100);
}

}  // namespace
}  // namespace banyan
