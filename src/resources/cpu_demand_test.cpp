#include "resources/cpu_demand.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr uint64_t kOneSecond = 1'000'000'000;

TEST(CpuDemand, OfOneThatBurnsIsAllOfItsCpus) {
    EXPECT_EQ(estimate_demand({kOneSecond, kOneSecond, 0, 0}, kOneCpu, {}).demand, kOneCpu);
    EXPECT_EQ(estimate_demand({kOneSecond, kOneSecond / 2, kOneSecond / 2, 0}, kOneCpu, {}).demand,
              kOneCpu);
    EXPECT_EQ(
        estimate_demand({kOneSecond, kOneSecond / 4, 0, kOneSecond * 3 / 4}, kOneCpu, {}).demand,
        kOneCpu);
}

TEST(CpuDemand, HasRoomToGrow) {
    const CpuDemand demand = estimate_demand({kOneSecond, kOneSecond / 5, 0, 0}, kOneCpu, {});
    EXPECT_EQ(demand.used, 200'000U);
    EXPECT_EQ(demand.demand, 300'000U);
}

TEST(CpuDemand, IsNotForgottenAtOnce) {
    const CpuDemand busy = estimate_demand({kOneSecond, kOneSecond, 0, 0}, kOneCpu, {});
    const CpuDemand idle = estimate_demand({kOneSecond, 0, 0, 0}, kOneCpu, busy);
    EXPECT_EQ(idle.demand, kOneCpu / 2);
    EXPECT_EQ(estimate_demand({kOneSecond, 0, 0, 0}, kOneCpu, {}).demand, 50'000U);
}

TEST(CpuDemand, OfNoTimeIsNone) {
    EXPECT_EQ(estimate_demand({}, kOneCpu, {}).used, 0U);
}

}  // namespace
}  // namespace banyan
