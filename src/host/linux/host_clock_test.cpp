#include "host/linux/host_clock.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(HostClock, RunsForwardFromZero) {
    const HostClock clock(std::nullopt);

    const uint64_t first = clock.now_ns();
    const uint64_t second = clock.now_ns();

    EXPECT_LT(first, 60'000'000'000U);
    EXPECT_LE(first, second);
}

TEST(HostClock, WithoutAHostTscCountsNanoseconds) {
    const HostClock clock(std::nullopt);

    const uint64_t before = clock.now_ns();
    const uint64_t tsc = clock.tsc();
    const uint64_t after = clock.now_ns();

    EXPECT_EQ(clock.tsc_hz(), 1'000'000'000U);
    EXPECT_LE(before, tsc);
    EXPECT_LE(tsc, after);
    EXPECT_FALSE(clock.host_tsc_offset());
}

TEST(HostClock, TheHostTscPlusItsOffsetIsTheGuests) {
    const HostClock clock(HostTsc{2'000'000'000, "test"});
    ASSERT_TRUE(clock.host_tsc_offset());

    const uint64_t before = clock.tsc();
    const uint64_t native = read_host_tsc() + *clock.host_tsc_offset();
    const uint64_t after = clock.tsc();

    EXPECT_LE(before, native);
    EXPECT_LE(native, after);
}

TEST(HostClock, StandsStillWhilePaused) {
    HostClock clock(HostTsc{2'000'000'000, "test"});

    clock.pause();
    const uint64_t ns = clock.now_ns();
    const uint64_t tsc = clock.tsc();
    const uint64_t host = read_host_tsc();
    while (read_host_tsc() - host < 100'000) {
    }

    EXPECT_FALSE(clock.running());
    EXPECT_EQ(clock.now_ns(), ns);
    EXPECT_EQ(clock.tsc(), tsc);
    clock.resume();
    EXPECT_TRUE(clock.running());
    EXPECT_GE(clock.now_ns(), ns);
    EXPECT_GE(clock.tsc(), tsc);
}

TEST(HostTsc, AFoundFrequencyIsThatOfAProcessor) {
    const auto tsc = find_host_tsc();
    const HostClock clock(tsc);

    EXPECT_GE(clock.tsc_hz(), 100'000'000U);
    EXPECT_LE(clock.tsc_hz(), 10'000'000'000U);
    EXPECT_EQ(clock.host_tsc_offset().has_value(), tsc.has_value());
}

}  // namespace
}  // namespace banyan
