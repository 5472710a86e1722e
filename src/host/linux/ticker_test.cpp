#include "host/linux/ticker.hpp"

#include <gtest/gtest.h>

#include "host/linux/event_loop.hpp"

namespace banyan {
namespace {

TEST(Ticker, CallsAgainAndAgain) {
    const auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    int calls = 0;
    const auto ticker = Ticker::create(**loop, std::chrono::milliseconds(1), [&] {
        if (++calls == 3) (*loop)->stop();
    });
    ASSERT_TRUE(ticker);

    (*loop)->run();

    EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace banyan
