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

TEST(Signals, EndTheProcessWithTheStatusGiven) {
    const auto end = [] {
        static constexpr SignalEnd kEnd{"ended early\n", 4};
        end_at_signals({SIGTERM}, kEnd);
        std::raise(SIGTERM);
    };

    EXPECT_EXIT(end(), testing::ExitedWithCode(4), "ended early");
}

TEST(Signals, KnowsWhatIsIgnored) {
    std::signal(SIGHUP, SIG_IGN);
    EXPECT_TRUE(is_ignored(SIGHUP));

    std::signal(SIGHUP, SIG_DFL);
    EXPECT_FALSE(is_ignored(SIGHUP));
}

}  // namespace
}  // namespace banyan
