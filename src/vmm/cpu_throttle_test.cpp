#include "vmm/cpu_throttle.hpp"

#include <gtest/gtest.h>

#include "vmm/testing/counting_vcpu.hpp"

namespace banyan {
namespace {

class ThrottleTest : public testing::Test {
protected:
    void SetUp() override {
        group.attach(0, std::make_unique<CountingVcpu>());
        group.start();
    }
    void TearDown() override { group.stop(); }

    uint64_t count() { return group.vcpu(0).instructions(); }
    // Until the guest has done something more.
    void wait_for_guest() {
        for (const uint64_t before = count(); count() == before;)
            std::this_thread::yield();
    }

    NoVcpuExits sink;
    VcpuGroup group{1, sink};
};

TEST_F(ThrottleTest, AGroupThatIsThrottledStandsStillAndGoesOn) {
    wait_for_guest();
    group.throttle(true);
    group.pause();  // waits until it has left the guest
    group.resume();
    const uint64_t before = count();
    for (int i = 0; i < 100; ++i)
        std::this_thread::yield();
    EXPECT_EQ(count(), before) << "nobody has paused it, but it is throttled";
    group.throttle(false);
    wait_for_guest();
}

TEST_F(ThrottleTest, ARateHoldsTheVcpusNowAndThen) {
    CpuThrottle throttle(group);
    EXPECT_EQ(throttle.held(), 0U);
    throttle.set_rate(100'000);
    while (throttle.held() < 20'000'000)
        std::this_thread::yield();
    wait_for_guest();
    throttle.set_rate(std::nullopt);
    wait_for_guest();
}

TEST_F(ThrottleTest, ARateOfAllCpusIsNone) {
    CpuThrottle throttle(group);
    throttle.set_rate(kOneCpu);
    wait_for_guest();
    EXPECT_EQ(throttle.held(), 0U);
}

TEST_F(ThrottleTest, EndsWhileItHolds) {
    auto throttle = std::make_unique<CpuThrottle>(group);
    throttle->set_rate(1);
    wait_for_guest();
    throttle.reset();
    wait_for_guest();
}

}  // namespace
}  // namespace banyan
