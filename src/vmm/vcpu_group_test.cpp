#include "vmm/vcpu_group.hpp"

#include <gtest/gtest.h>

#include "vmm/testing/counting_vcpu.hpp"

namespace banyan {
namespace {

TEST(VcpuGroup, StandsStillWhilePaused) {
    NoVcpuExits sink;
    VcpuGroup group(2, sink);
    for (unsigned i = 0; i < 2; ++i)
        group.attach(i, std::make_unique<CountingVcpu>());
    auto& first = static_cast<CountingVcpu&>(group.vcpu(0));
    auto& second = static_cast<CountingVcpu&>(group.vcpu(1));
    group.start();
    while (first.count == 0 || second.count == 0)
        std::this_thread::yield();

    group.pause();
    const uint64_t paused_at = first.count + second.count;
    for (int i = 0; i < 100; ++i)
        std::this_thread::yield();
    EXPECT_EQ(first.count + second.count, paused_at);

    group.resume();
    while (first.count + second.count == paused_at)
        std::this_thread::yield();
    group.stop();
    EXPECT_GT(first.count + second.count, paused_at);
}

TEST(VcpuGroup, CanBePausedAndResumedManyTimes) {
    NoVcpuExits sink;
    VcpuGroup group(2, sink);
    for (unsigned i = 0; i < 2; ++i)
        group.attach(i, std::make_unique<CountingVcpu>());
    group.start();

    uint64_t last = 0;
    for (int i = 0; i < 200; ++i) {
        group.pause();
        const uint64_t count = group.vcpu(0).instructions();
        EXPECT_GE(count, last);
        last = count;
        group.resume();
    }
    group.stop();
}

}  // namespace
}  // namespace banyan
