#include "host/linux/cpu_cgroup.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace banyan {
namespace {

using Candidates = std::vector<CgroupPlace>;

TEST(CpuCgroupPlaces, OfVersionOneAreTheControllersOwn) {
    const auto places = cpu_cgroup_places("4:memory:/a\n3:cpu,cpuacct:/b/c\n0::/\n", false, "/cg");
    EXPECT_EQ(places.own, "/cg/cpu,cpuacct/b/c");
    EXPECT_EQ(places.candidates, (Candidates{{"/cg/cpu,cpuacct/b/c", false}}));
}

TEST(CpuCgroupPlaces, OfVersionTwoAreBesideTheProcess) {
    const auto places = cpu_cgroup_places("0::/user/app.slice/x.scope\n", true, "/cg");
    EXPECT_EQ(places.own, "/cg/user/app.slice/x.scope");
    EXPECT_EQ(places.candidates,
              (Candidates{{"/cg/user/app.slice", true}, {"/cg/user", true}, {"/cg", true}}));
    EXPECT_EQ(cpu_cgroup_places("0::/\n", true, "/cg").candidates, (Candidates{{"/cg", true}}));
}

TEST(CpuCgroupPlaces, ThereMayBeNone) {
    for (const char* text : {"", "0::/\n", "nonsense", "1:name=systemd:/\n", "0::relative\n"})
        EXPECT_TRUE(cpu_cgroup_places(text, false, "/cg").candidates.empty()) << text;
}

// A directory that looks like the kernel's; what is written to a file replaces its beginning.
class CpuCgroupTest : public testing::Test {
protected:
    void SetUp() override {
        root = testing::TempDir() + "banyan-cgroup-XXXXXX";
        ASSERT_NE(::mkdtemp(root.data()), nullptr);
    }
    void TearDown() override { std::filesystem::remove_all(root); }

    void put(const std::string& file, const std::string& text = "") const {
        std::filesystem::create_directories(std::filesystem::path(root + "/" + file).parent_path());
        std::ofstream(root + "/" + file) << text;
    }
    std::string get(const std::string& file) const {
        std::string line;
        std::getline(std::ifstream(root + "/" + file), line);
        return line;
    }

    std::string root;
};

TEST_F(CpuCgroupTest, VersionTwo) {
    for (const char* file : {"cpu.weight", "cpu.max", "cgroup.procs"})
        put(std::string("banyan/vm-7/") + file);
    put("cgroup.subtree_control", "memory cpu\n");
    put("banyan/cgroup.subtree_control");
    put("cgroup.procs");
    const auto group = CpuCgroup::create_in({root, {{"/nowhere", true}, {root, true}}}, 7);
    ASSERT_TRUE(group) << group.error().text();
    EXPECT_EQ(get("banyan/cgroup.subtree_control"), "+cpu");
    EXPECT_EQ(get("banyan/vm-7/cgroup.procs"), "7");
    EXPECT_EQ(get("banyan/vm-7/cpu.max"), "max");
    EXPECT_TRUE((*group)->set_weight(20'000));
    EXPECT_EQ(get("banyan/vm-7/cpu.weight"), "10000");
    EXPECT_TRUE((*group)->set_ceiling(250'000));
    EXPECT_EQ(get("banyan/vm-7/cpu.max"), "25000 100000");
}

TEST_F(CpuCgroupTest, VersionOne) {
    for (const char* file : {"cpu.shares", "cpu.cfs_quota_us", "cgroup.procs"})
        put(std::string("banyan/vm-7/") + file);
    put("cgroup.procs");
    auto group = CpuCgroup::create_in({root, {{root, false}}}, 7);
    ASSERT_TRUE(group) << group.error().text();
    EXPECT_EQ(get("banyan/vm-7/cpu.cfs_quota_us"), "-1");
    EXPECT_TRUE((*group)->set_weight(0));
    EXPECT_EQ(get("banyan/vm-7/cpu.shares"), "10");
    EXPECT_TRUE((*group)->set_ceiling(1'500'000));
    EXPECT_EQ(get("banyan/vm-7/cpu.cfs_quota_us"), "150000");
    group->reset();
    EXPECT_EQ(get("cgroup.procs"), "7") << "it goes back";
}

TEST_F(CpuCgroupTest, IsRefusedWithAReason) {
    EXPECT_EQ(CpuCgroup::create_in({}, 7).error().code(), ErrorCode::unsupported);
    const auto group = CpuCgroup::create_in({root, {{root, true}}}, 7);
    ASSERT_FALSE(group);
    EXPECT_NE(group.error().text().find("--cpu-control throttle"), std::string_view::npos);
}

}  // namespace
}  // namespace banyan
