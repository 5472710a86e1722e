#include "host/linux/memory_limits.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(MemoryLimits, ReadsMeminfo) {
    constexpr std::string_view kText =
        "MemTotal:       24683520 kB\nMemAvailable:   24 kB\nSwapFree:  0 kB\n";

    EXPECT_EQ(meminfo_bytes(kText, "MemAvailable"), 24U * 1024);
    EXPECT_EQ(meminfo_bytes(kText, "SwapFree"), 0U);
    EXPECT_FALSE(meminfo_bytes(kText, "Mem"));
    EXPECT_FALSE(meminfo_bytes("MemAvailable: many kB\n", "MemAvailable"));
}

TEST(MemoryLimits, FindsTheGroupOfVersion1) {
    const auto group = memory_cgroup("9:name=systemd:/\n4:memory:/a/b\n0::/c\n");

    ASSERT_TRUE(group);
    EXPECT_EQ(group->path, "/a/b");
    EXPECT_FALSE(group->unified);
}

TEST(MemoryLimits, FindsTheGroupOfVersion2) {
    const auto group = memory_cgroup("0::/user.slice/x.scope\n");

    ASSERT_TRUE(group);
    EXPECT_EQ(group->path, "/user.slice/x.scope");
    EXPECT_TRUE(group->unified);
}

TEST(MemoryLimits, KnowsTheRootGroupAndNone) {
    EXPECT_EQ(memory_cgroup("0::/\n")->path, "");
    EXPECT_FALSE(memory_cgroup("nonsense\n"));
}

TEST(MemoryLimits, RefusesMoreThanAnyHostHas) {
    const auto result = check_memory_available(uint64_t{1} << 60);

    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), ErrorCode::out_of_memory);
    EXPECT_TRUE(result.error().text().starts_with("give the guest 1073741824 GiB of memory: "))
        << result.error().text();
}

TEST(MemoryLimits, ShowsSizesAsPeopleSayThem) {
    EXPECT_EQ(readable_size(uint64_t{512} << 20), "512 MiB");
    EXPECT_EQ(readable_size(uint64_t{4} << 30), "4 GiB");
    EXPECT_EQ(readable_size(uint64_t{3} << 29), "1.5 GiB");
    EXPECT_EQ(readable_size(4096), "4096 bytes");
}

}  // namespace
}  // namespace banyan
