#include "manager/store/restart_plan.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using Names = std::vector<std::string>;

StoredVm ended(RestartPolicy policy, int status, int64_t starts = 1, int64_t ran = 0) {
    StoredVm vm;
    vm.id = 7;
    vm.definition.name = "a";
    vm.definition.restart = policy;
    vm.wanted = true;
    vm.started = 1000;
    vm.starts = starts;
    vm.last = StoredEnding{status, "guest-shutdown", "", 1000 + ran};
    return vm;
}

TEST(RestartPlan, PoliciesSayWhichEndsCount) {
    using enum RestartPolicy;
    EXPECT_FALSE(wants_restart(ended(no, 1)));
    EXPECT_TRUE(wants_restart(ended(always, 0)));
    EXPECT_TRUE(wants_restart(ended(always, 4)));
    EXPECT_FALSE(wants_restart(ended(on_failure, 0)));
    EXPECT_FALSE(wants_restart(ended(on_failure, 4)));
    EXPECT_TRUE(wants_restart(ended(on_failure, 1)));
    EXPECT_TRUE(wants_restart(ended(on_failure, 3)));
    EXPECT_TRUE(wants_restart(ended(on_failure, kKilledStatus)));
}

TEST(RestartPlan, WhatItsUserStoppedOrRunsIsLetBe) {
    StoredVm vm = ended(RestartPolicy::always, 0);
    vm.wanted = false;
    EXPECT_FALSE(wants_restart(vm));
    vm.wanted = true;
    vm.process = VmProcess{};
    EXPECT_FALSE(wants_restart(vm));
    vm.process.reset();
    vm.last.reset();
    EXPECT_FALSE(wants_restart(vm));
}

TEST(RestartPlan, ShortRunsMakeItWaitLonger) {
    RestartPlan plan;
    RestartPlan::Time now{};
    RestartPlan::Duration expected = RestartPlan::kShortestWait;
    for (int64_t starts = 1; starts <= 12; ++starts) {
        const std::vector<StoredVm> all{ended(RestartPolicy::always, 1, starts)};
        EXPECT_EQ(plan.due(all, now), Names{});
        EXPECT_EQ(plan.next(), now + expected) << starts;
        now += expected;
        EXPECT_EQ(plan.due(all, now), Names{"a"});
        expected = std::min(2 * expected, RestartPlan::kLongestWait);
    }
    EXPECT_EQ(expected, RestartPlan::kLongestWait);
    const std::vector<StoredVm> all{
        ended(RestartPolicy::always, 1, 13, RestartPlan::kGoodRunSeconds)};
    EXPECT_EQ(plan.due(all, now), Names{});
    EXPECT_EQ(plan.next(), now + RestartPlan::kShortestWait);
}

TEST(RestartPlan, OneThatCannotBeTriedIsTriedAgainLater) {
    RestartPlan plan;
    RestartPlan::Time now{};
    const std::vector<StoredVm> all{ended(RestartPolicy::always, 1)};
    (void)plan.due(all, now);
    now += RestartPlan::kShortestWait;
    EXPECT_EQ(plan.due(all, now), Names{"a"});
    EXPECT_EQ(plan.due(all, now), Names{});
    now += 2 * RestartPlan::kShortestWait;
    EXPECT_EQ(plan.due(all, now), Names{"a"});
}

TEST(RestartPlan, SomeStartByThemselvesOnce) {
    RestartPlan plan;
    StoredVm vm;
    vm.definition.name = "a";
    vm.definition.autostart = true;
    EXPECT_EQ(plan.due({vm}, {}), Names{"a"});
    EXPECT_EQ(plan.due({vm}, {}), Names{});
}

TEST(RestartPlan, RemovedOnesAreForgotten) {
    RestartPlan plan;
    (void)plan.due({ended(RestartPolicy::always, 1)}, {});
    ASSERT_TRUE(plan.next());
    EXPECT_EQ(plan.due({}, {}), Names{});
    EXPECT_FALSE(plan.next());
}

}  // namespace
}  // namespace banyan
