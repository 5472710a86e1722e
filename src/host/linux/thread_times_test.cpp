#include "host/linux/thread_times.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace banyan {
namespace {

TEST(ThreadTimes, AreReadFromTheKernelsText) {
    const auto times = parse_schedstat("6523808 16778118 3\n");
    ASSERT_TRUE(times);
    EXPECT_EQ(times->used, 6'523'808U);
    EXPECT_EQ(times->waited, 16'778'118U);
    for (const char* wrong : {"", "x", "1", "1 ", "1\n2", "99999999999999999999999 1 1"})
        EXPECT_FALSE(parse_schedstat(wrong)) << wrong;
}

TEST(ThreadTimes, GoOnWhileAThreadWorks) {
    const uint64_t before = thread_cpu_time(::gettid());
    while (thread_cpu_time(::gettid()) < before + 1'000'000) {
    }
    EXPECT_GE(thread_times(::gettid()).used + 1'000'000, before);
}

TEST(ThreadTimes, OfNobodyAreZero) {
    EXPECT_EQ(thread_cpu_time(0), 0U);
    EXPECT_EQ(thread_times(0).used, 0U);
}

}  // namespace
}  // namespace banyan
