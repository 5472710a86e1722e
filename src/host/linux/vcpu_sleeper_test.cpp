#include "host/linux/vcpu_sleeper.hpp"

#include <gtest/gtest.h>
#include <thread>

namespace banyan {
namespace {

// Two threads hand a token to each other: one lost wake-up would hang the test.
TEST(VcpuSleeper, LosesNoWake) {
    constexpr int kRounds = 5000;
    VcpuSleeper here;
    VcpuSleeper there;
    std::atomic<int> token{0};
    std::thread other([&] {
        for (int i = 0; i < kRounds; ++i) {
            while (token.load() != 2 * i + 1)
                there.sleep();
            token = 2 * i + 2;
            here.wake();
        }
    });

    for (int i = 0; i < kRounds; ++i) {
        token = 2 * i + 1;
        there.wake();
        while (token.load() != 2 * i + 2)
            here.sleep();
    }
    other.join();

    EXPECT_EQ(token, 2 * kRounds);
}

}  // namespace
}  // namespace banyan
