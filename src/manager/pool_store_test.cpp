#include "manager/pool_store.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "manager/resource_governor.hpp"
#include "manager/resource_json.hpp"

namespace banyan {
namespace {

class PoolStoreTest : public testing::Test {
protected:
    void SetUp() override {
        directory = testing::TempDir() + "banyan-pools-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        auto opened = PoolStore::open_at(directory + "/data/pools");
        ASSERT_TRUE(opened) << opened.error().text();
        store.emplace(std::move(*opened));
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    std::string directory;
    std::optional<PoolStore> store;
};

TEST_F(PoolStoreTest, ThereIsAlwaysARoot) {
    const auto pools = store->pools();
    ASSERT_TRUE(pools);
    ASSERT_EQ(pools->size(), 1U);
    EXPECT_EQ(pools->front().name, "root");
}

TEST_F(PoolStoreTest, KeepsWhatWasPutThere) {
    const Pool web{"web", "root", {2000, 500'000, 1'500'000}, {1, 1U << 30, kUnlimited}};
    ASSERT_TRUE(store->update([&](std::vector<Pool>& pools) -> Result<void> {
        pools.push_back(web);
        return {};
    }));
    const auto again = PoolStore::open_at(directory + "/data/pools");
    const auto pools = again->pools();
    ASSERT_TRUE(pools);
    const auto found = find_pool(*pools, "web", "pool show");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->cpu, web.cpu);
    EXPECT_EQ(found->memory, web.memory);
    EXPECT_EQ(found->parent, "root");
    EXPECT_EQ(find_pool(*pools, "x", "pool show").error().code(), ErrorCode::not_found);
}

TEST_F(PoolStoreTest, AChangeThatFailsChangesNothing) {
    const auto failed = store->update([&](std::vector<Pool>& pools) -> Result<void> {
        pools.push_back({"x", "root", {}, {}});
        return fail(ErrorCode::busy, "no");
    });
    EXPECT_FALSE(failed);
    EXPECT_EQ(store->pools()->size(), 1U);
}

TEST_F(PoolStoreTest, ADamagedFileIsNotOverwritten) {
    for (const char* text : {"", "{", "[]", R"({"pools": 1})", R"({"pools": [1]})",
                             R"({"pools": [{"name": "a/b"}]})"}) {
        std::ofstream(directory + "/data/pools/pools.json") << text;
        EXPECT_EQ(store->pools().error().code(), ErrorCode::invalid_data) << text;
        EXPECT_FALSE(store->update([](std::vector<Pool>&) { return Result<void>(); })) << text;
    }
}

TEST(PoolName, IsAWord) {
    for (const char* name : {"a", "web-1", "A.b_c", "0"})
        EXPECT_TRUE(is_pool_name(name)) << name;
    for (const char* name : {"", "-a", ".", "a/b", "a b", "ä"})
        EXPECT_FALSE(is_pool_name(name)) << name;
    EXPECT_FALSE(is_pool_name(std::string(65, 'a')));
}

TEST(ResourceJsonTest, APlanIsReadAsItWasWritten) {
    Plan plan;
    plan.made_at = 12345;
    plan.maker = 7;
    plan.cpu_capacity = 2'000'000;
    plan.cpu_available = 1'500'000;
    plan.calm_seconds = 3;
    plan.vms[7] = {250'000, 500'000, 1U << 28};
    plan.pools["root"] = {250'000, 1U << 28};
    const auto read = plan_from(json_of(plan).dump());
    ASSERT_TRUE(read);
    EXPECT_EQ(json_of(*read), json_of(plan));
}

TEST(ResourceJsonTest, WhatIsNoPlanIsNone) {
    for (const char* text : {"", "[]", "{}", R"({"made_at": -1})", R"({"made_at": "1"})"})
        EXPECT_FALSE(plan_from(text)) << text;
    const auto odd = plan_from(R"({"made_at": 1, "vms": {"x": {}, "5": 7}, "pools": 3})");
    ASSERT_TRUE(odd);
    EXPECT_EQ(odd->vms.size(), 1U);
    EXPECT_EQ(odd->vms.at(5).cpu, 0U);
}

TEST(ResourceJsonTest, ADemandIsReadAsItWasPublished) {
    VmDemand vm;
    vm.pid = 9;
    vm.name = "a";
    vm.pool = "web";
    vm.governed = true;
    vm.cpu = {5, 6, 7};
    vm.control = CpuControl::cgroup;
    vm.cpu_waited = 11;
    vm.memory_demand = 12;
    const auto read = demand_from({{"pid", 9U}, {"name", "a"}, {"resources", json_of(vm)}});
    ASSERT_TRUE(read);
    EXPECT_EQ(json_of(*read), json_of(vm));
    EXPECT_EQ(read->pid, 9);
    EXPECT_FALSE(demand_from({{"pid", 9U}}));
    const auto wrong = demand_from({{"pid", 9U}, {"resources", {{"cpu", {{"shares", 0U}}}}}});
    EXPECT_EQ(wrong->cpu.shares, 1U);
}

TEST(Reservations, ThatDoNotFitAreRefusedWithTheNumbers) {
    VmDemand vm;
    vm.pool = "web";
    vm.cpu.reservation = 600'000;
    const std::vector<Pool> pools{{"web", "root", {1000, 0, 1'000'000}, {}}};
    const HostCapacity host{2'000'000, uint64_t{1} << 30};
    EXPECT_TRUE(check_reservations(pools, {vm}, host, "run"));
    const auto full = check_reservations(pools, {vm, vm}, host, "run --reservation 60%");
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code(), ErrorCode::busy);
    EXPECT_EQ(full.error().text(),
              "run --reservation 60%: the reservations do not fit: in the pool 'web' 120% of CPU "
              "would be reserved, and its limit is 100%; reserve less, end or change other VMs, or "
              "raise the pool's limit");
    vm.pool = "root";
    vm.memory.reservation = uint64_t{1} << 31;
    const auto memory = check_reservations(pools, {vm}, host, "run");
    ASSERT_FALSE(memory);
    EXPECT_NE(memory.error().text().find("2 GiB of memory would be reserved, and this host has"),
              std::string_view::npos)
        << memory.error().text();
}

TEST(ResourceText, IsShort) {
    EXPECT_EQ(cpu_text(250'000), "25%");
    EXPECT_EQ(cpu_text(1'234'000), "123.4%");
    EXPECT_EQ(cpu_text(kUnlimited), "none");
    EXPECT_EQ(memory_text(kUnlimited), "none");
}

}  // namespace
}  // namespace banyan
