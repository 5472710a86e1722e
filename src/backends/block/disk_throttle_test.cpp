#include "backends/block/disk_throttle.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using namespace std::chrono_literals;
using Time = DiskThrottle::Time;

constexpr auto kReads = DiskLimits::reads;
constexpr auto kWrites = DiskLimits::writes;
constexpr Time kStart = 1000s;

TEST(DiskThrottle, WithoutLimitsNothingWaits) {
    EXPECT_FALSE(DiskLimits{}.any());
    DiskThrottle throttle({});
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(throttle.turn(kReads, 1 << 30, kStart), kStart);
}

TEST(DiskThrottle, ABurstAndThenTheRate) {
    DiskLimits limits;
    limits.requests[DiskLimits::all] = {.per_second = 100, .burst = 5};
    EXPECT_TRUE(limits.any());
    DiskThrottle throttle(limits);

    for (int i = 0; i <= 5; ++i)
        EXPECT_EQ(throttle.turn(kReads, 4096, kStart), kStart) << i;
    for (int i = 1; i < 200; ++i)
        EXPECT_EQ(throttle.turn(kWrites, 4096, kStart), kStart + i * 10ms) << i;
}

TEST(DiskThrottle, ARestFillsTheBucketButNoMore) {
    DiskLimits limits;
    limits.requests[DiskLimits::all] = {.per_second = 100, .burst = 2};
    DiskThrottle throttle(limits);
    for (int i = 0; i < 20; ++i)
        (void)throttle.turn(kReads, 0, kStart);

    const Time later = kStart + 1h;
    EXPECT_EQ(throttle.turn(kReads, 0, later), later);
    EXPECT_EQ(throttle.turn(kReads, 0, later), later);
    EXPECT_EQ(throttle.turn(kReads, 0, later), later);
    EXPECT_EQ(throttle.turn(kReads, 0, later), later + 10ms);
}

TEST(DiskThrottle, BytesCountAlsoInPiecesLargerThanTheBurst) {
    DiskLimits limits;
    limits.bytes[DiskLimits::all] = {.per_second = 1 << 20, .burst = 4096};
    DiskThrottle throttle(limits);
    EXPECT_EQ(throttle.turn(kWrites, 1 << 20, kStart), kStart);
    const Time next = throttle.turn(kWrites, 1 << 20, kStart);
    EXPECT_GE(next, kStart + 990ms);
    EXPECT_LE(next, kStart + 1s);
}

TEST(DiskThrottle, DirectionsHaveTheirOwn) {
    DiskLimits limits;
    limits.requests[kWrites] = {.per_second = 1, .burst = 1};
    DiskThrottle throttle(limits);
    for (int i = 0; i < 10; ++i)
        (void)throttle.turn(kWrites, 512, kStart);
    EXPECT_EQ(throttle.turn(kReads, 512, kStart), kStart);
    EXPECT_EQ(throttle.turn(kWrites, 512, kStart), kStart + 9s);
}

// Over a long time, no more passes than the rate allows and the burst.
TEST(DiskThrottle, TheRateHoldsWhateverComes) {
    DiskLimits limits;
    limits.requests[DiskLimits::all] = {.per_second = 1000};
    limits.bytes[kReads] = {.per_second = 1 << 20};
    DiskThrottle throttle(limits);
    Time now = kStart;
    Time last = now;
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < 10'000; ++i) {
        const uint64_t length = 512 * (1 + i * 7 % 64);
        const Time turn = throttle.turn(kReads, length, now);
        EXPECT_GE(turn, last);
        last = turn;
        now += i % 5 == 0 ? 20ms : 0ms;
        bytes += length;
    }
    const double seconds = std::chrono::duration<double>(last - kStart).count();
    EXPECT_LE(static_cast<double>(bytes), (seconds + 0.2) * (1 << 20));
}

}  // namespace
}  // namespace banyan
