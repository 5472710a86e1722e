#include "host/linux/signals.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <vector>

#include "host/linux/event_loop.hpp"

namespace banyan {
namespace {

TEST(SignalWatch, TakesSignalsThatCameBeforeIt) {
    hold_signals({SIGUSR1, SIGUSR2});
    std::raise(SIGUSR1);
    std::raise(SIGUSR2);
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    std::vector<int> seen;
    auto watch = SignalWatch::create(**loop, {SIGUSR1, SIGUSR2}, [&](int number) {
        seen.push_back(number);
        if (seen.size() == 2) (*loop)->stop();
    });
    ASSERT_TRUE(watch);

    (*loop)->run();

    EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGUSR2}));
}

}  // namespace
}  // namespace banyan
