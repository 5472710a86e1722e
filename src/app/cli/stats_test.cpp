#include "app/cli/stats.hpp"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

#include "app/cli/published_vm.hpp"
#include "app/cli/resource_service.hpp"
#include "manager/running_vms.hpp"
#include "vmm/testing/fake_vm.hpp"

namespace banyan {
namespace {

class StatsTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(::mkdtemp(place.data()), nullptr);
        vm.settings.name = "debian";
        vm.figures = {{{"instructions", 3'000'000}, {"tlb_fills", 4}},
                      {{"instructions", 1'000'000}, {"tlb_fills", 4}}};
        vm.nets = {{{"net_sent_frames", 7}, {"net_received_too_large", 0}}};
    }
    void TearDown() override { std::filesystem::remove_all(place); }

    RunDirectory directory() const { return *RunDirectory::open_at(place); }

    std::string place = testing::TempDir() + "banyan-stats-XXXXXX";
    const std::string pid = std::to_string(::getpid());
    FakeVm vm;
    std::unique_ptr<ResourceService> resources = std::move(*ResourceService::create(vm, {}));
};

TEST_F(StatsTest, SaysThatNothingRuns) {
    EXPECT_EQ(stats_text(directory(), "").value(), "no VM is running\n");
    EXPECT_EQ(stats_json(directory(), "").value(), "[]\n");
    const auto wanted = stats_text(directory(), "debian");
    ASSERT_FALSE(wanted);
    EXPECT_EQ(wanted.error().code(), ErrorCode::not_found);
}

TEST_F(StatsTest, ShowsARunningVmUntilItsEnd) {
    {
        const auto published = PublishedVm::create(directory(), vm, *resources);
        ASSERT_TRUE(published);
        ASSERT_TRUE((*published)->publish(vm, *resources, 12.4));

        for (const std::string& wanted : {std::string(), std::string("debian"), pid}) {
            const auto text = stats_text(directory(), wanted);
            ASSERT_TRUE(text) << wanted;
            EXPECT_EQ(text->find("debian: pid " + pid + ", engine soft, 2 CPUs, 12 s\n"), 0U);
            EXPECT_NE(text->find("4000000\n"), std::string::npos) << "the sum of both";
            EXPECT_NE(text->find("tlb fills"), std::string::npos);
            EXPECT_NE(text->find("  net 0: sent frames 7\n"), std::string::npos);
        }
        EXPECT_FALSE(stats_text(directory(), "debia"));
    }
    EXPECT_EQ(stats_text(directory(), "").value(), "no VM is running\n");
}

TEST_F(StatsTest, TwoVmsDoNotHaveOneName) {
    const auto first = PublishedVm::create(directory(), vm, *resources);
    ASSERT_TRUE(first);
    auto other = nlohmann::json::parse(*directory().read(pid + ".json"));
    other["pid"] = ::getppid();
    other["process_start"] = *process_start(::getppid());
    ASSERT_TRUE(directory().write(std::to_string(::getppid()) + ".json", other.dump()));

    const auto second = PublishedVm::create(directory(), vm, *resources);

    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::busy);
    EXPECT_NE(second.error().text().find("runs already"), std::string::npos);
}

TEST_F(StatsTest, JsonHasEachVcpu) {
    const auto published = PublishedVm::create(directory(), vm, *resources);
    ASSERT_TRUE(published);
    vm.figures[1][0].value = 2'000'000;
    ASSERT_TRUE((*published)->publish(vm, *resources, 2)) << "again and again";

    const auto list = nlohmann::json::parse(stats_json(directory(), pid).value());

    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0]["name"], "debian");
    EXPECT_EQ(list[0]["vcpus"][0]["instructions"], 3'000'000);
    EXPECT_EQ(list[0]["vcpus"][1]["instructions"], 2'000'000);
    EXPECT_EQ(list[0]["nets"][0]["net_sent_frames"], 7);
}

TEST_F(StatsTest, RemovesWhatTheDeadHaveLeft) {
    const auto published = PublishedVm::create(directory(), vm, *resources);
    ASSERT_TRUE(published);
    auto dead = nlohmann::json::parse(*directory().read(pid + ".json"));
    dead["process_start"] = dead["process_start"].get<uint64_t>() + 1;
    ASSERT_TRUE(directory().write("dead.json", dead.dump()));
    ASSERT_TRUE(directory().write("dead.screen", ""));

    EXPECT_EQ(running_vms(directory()).size(), 1U);
    EXPECT_EQ(directory().names(), std::vector<std::string>{pid + ".json"});
}

TEST_F(StatsTest, IgnoresWhatIsNotOurs) {
    const char* const kContents[] = {"", "[]", "{", R"({"pid":1})",
                                     R"({"pid":"1","process_start":1,"name":"a","vcpus":[]})"};
    for (const char* content : kContents) {
        ASSERT_TRUE(directory().write("1.json", content));
        EXPECT_TRUE(running_vms(directory()).empty()) << content;
        EXPECT_EQ(directory().names().size(), 1U) << "it may be another version's";
    }
}

}  // namespace
}  // namespace banyan
