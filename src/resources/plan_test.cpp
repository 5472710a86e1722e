#include "resources/plan.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr HostCapacity kHost{2 * kOneCpu, 1024 * kMebibyte};

VmDemand burning(int pid, ResourceTerms cpu = {}, std::string pool = kRootPool) {
    VmDemand vm;
    vm.pid = pid;
    vm.pool = std::move(pool);
    vm.cpu = cpu;
    vm.cpu_demand = kOneCpu;
    vm.cpu_used = kOneCpu / 2;
    vm.memory_size = 512 * kMebibyte;
    vm.memory_demand = 100 * kMebibyte;
    return vm;
}

TEST(Pools, FollowTheirParents) {
    const auto ordered = in_order({{"c", "b", {}, {}},
                                   {"b", "a", {}, {}},
                                   {"root", "", {7}, {}},
                                   {"a", "root", {}, {}},
                                   {"lost", "nowhere", {}, {}},
                                   {"x", "y", {}, {}},
                                   {"y", "x", {}, {}}});
    std::vector<std::string> names;
    for (const Pool& pool : ordered)
        names.push_back(pool.name);
    EXPECT_EQ(names, (std::vector<std::string>{"root", "a", "b", "c", "lost", "x", "y"}));
    EXPECT_EQ(ordered[0].cpu.shares, 7U);
    EXPECT_EQ(ordered[5].parent, "root");
    EXPECT_EQ(in_order({}).size(), 1U);
}

TEST(Plan, DividesTheCpus) {
    const Plan plan = make_plan({}, {burning(1, {2000}), burning(2), burning(3), burning(4)}, kHost,
                                std::nullopt);
    EXPECT_EQ(plan.vms.at(1).cpu, 800'000U);
    EXPECT_EQ(plan.vms.at(2).cpu, 400'000U);
    EXPECT_EQ(plan.vms.at(2).cpu_ceiling, kOneCpu) << "nothing limits it but the others";
    EXPECT_EQ(plan.pools.at("root").cpu, 2 * kOneCpu);
}

TEST(Plan, ALimitIsACeiling) {
    const Plan plan = make_plan({}, {burning(1, {1000, 0, kOneCpu / 4})}, kHost, std::nullopt);
    EXPECT_EQ(plan.vms.at(1).cpu, kOneCpu / 4);
    EXPECT_EQ(plan.vms.at(1).cpu_ceiling, kOneCpu / 4);
}

TEST(Plan, APoolsLimitIsACeilingOfItsMembers) {
    const Pool pool{"test", "root", {1000, 0, kOneCpu / 2}, {}};
    const Plan plan = make_plan({pool}, {burning(1, {3000}, "test"), burning(2, {1000}, "test")},
                                kHost, std::nullopt);
    EXPECT_EQ(plan.vms.at(1).cpu_ceiling, 375'000U);
    EXPECT_EQ(plan.vms.at(2).cpu_ceiling, 125'000U);
}

TEST(Plan, AVmWithAReservationWakesUpAtOnce) {
    VmDemand idle = burning(1, {1000, kOneCpu / 2});
    idle.cpu_demand = 10'000;
    std::vector<VmDemand> vms{idle};
    for (int pid = 2; pid < 8; ++pid)
        vms.push_back(burning(pid));
    EXPECT_EQ(make_plan({}, vms, kHost, std::nullopt).vms.at(1).cpu, kOneCpu / 2);
}

TEST(Plan, NobodyIsStarved) {
    const Plan plan =
        make_plan({}, {burning(1, {1'000'000}), burning(2, {1'000'000}), burning(3, {1})}, kHost,
                  std::nullopt);
    EXPECT_EQ(plan.vms.at(3).cpu, kOneCpu / 100);
}

// The host runs other things: who is entitled to more gets as much as they leave, and the others
// their part of that.
TEST(Plan, LearnsWhatTheHostLeaves) {
    std::vector<VmDemand> vms{burning(1, {2000}), burning(2, {1000})};
    const HostCapacity one_cpu{kOneCpu, 1024 * kMebibyte};
    Plan plan = make_plan({}, vms, one_cpu, std::nullopt);
    EXPECT_EQ(plan.vms.at(1).cpu, 666'667U);
    vms[0].cpu_used = 333'000;
    vms[0].cpu_waited = 667'000;
    vms[1].cpu_used = 333'000;
    vms[1].cpu_waited = 300'000;
    plan = make_plan({}, vms, one_cpu, plan);
    EXPECT_EQ(plan.cpu_available, 666'000U);
    EXPECT_EQ(plan.vms.at(1).cpu, 444'000U);
    EXPECT_EQ(plan.vms.at(2).cpu, 222'000U);
    vms[0].cpu_used = 444'000;
    vms[0].cpu_waited = 300'000;
    vms[1].cpu_used = 222'000;
    uint64_t available = plan.cpu_available;
    for (int second = 0; second < 8; ++second) {
        plan = make_plan({}, vms, one_cpu, plan);
        EXPECT_GE(plan.cpu_available, available);
        available = plan.cpu_available;
        vms[0].cpu_used = plan.vms.at(1).cpu;
        vms[1].cpu_used = plan.vms.at(2).cpu;
    }
    EXPECT_EQ(available, kOneCpu) << "it is tried again, more and more boldly";
}

TEST(Plan, AVmThatIsAloneIsNotHeldForWhatTheHostTakes) {
    std::vector<VmDemand> vms{burning(1), burning(2)};
    vms[0].cpu_used = 100'000;
    vms[0].cpu_waited = 900'000;
    vms[1].cpu_used = 10'000;
    const Plan before = make_plan({}, vms, kHost, std::nullopt);
    EXPECT_EQ(make_plan({}, vms, kHost, before).cpu_available, kHost.cpu);
}

TEST(Plan, OfALightVmThatWaitsALittleNothingIsLearnt) {
    std::vector<VmDemand> vms{burning(1)};
    const Plan before = make_plan({}, vms, kHost, std::nullopt);
    vms[0].cpu_used = 300'000;
    vms[0].cpu_waited = 60'000;
    EXPECT_EQ(make_plan({}, vms, kHost, before).cpu_available, kHost.cpu);
}

TEST(Plan, WhatIsKeptByTheSchedulerNeedsNoGuess) {
    std::vector<VmDemand> vms{burning(1), burning(2), burning(3)};
    for (VmDemand& vm : vms) {
        vm.control = CpuControl::cgroup;
        vm.cpu_used = 100'000;
        vm.cpu_waited = 900'000;
    }
    const Plan before = make_plan({}, vms, kHost, std::nullopt);
    EXPECT_EQ(make_plan({}, vms, kHost, before).cpu_available, kHost.cpu);
}

TEST(Plan, MemoryIsOvercommitted) {
    std::vector<VmDemand> vms;
    for (int pid = 1; pid <= 4; ++pid)
        vms.push_back(burning(pid));
    vms[0].memory_demand = 400 * kMebibyte;
    const Plan plan = make_plan({}, vms, kHost, std::nullopt);
    uint64_t sum = 0;
    for (const auto& [pid, vm] : plan.vms)
        sum += vm.memory;
    EXPECT_EQ(sum, 1024 * kMebibyte) << "of twice as much";
    EXPECT_EQ(plan.vms.at(1).memory, 400 * kMebibyte);
    EXPECT_EQ(plan.vms.at(2).memory, 208 * kMebibyte);
}

}  // namespace
}  // namespace banyan
