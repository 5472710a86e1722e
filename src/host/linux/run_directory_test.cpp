#include "host/linux/run_directory.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace banyan {
namespace {

class RunDirectoryTest : public testing::Test {
protected:
    void SetUp() override { ASSERT_NE(::mkdtemp(place.data()), nullptr); }
    void TearDown() override { std::filesystem::remove_all(place); }

    std::string place = testing::TempDir() + "banyan-run-XXXXXX";
};

TEST_F(RunDirectoryTest, HoldsFilesUntilTheyAreRemoved) {
    const auto made = RunDirectory::open_at(place + "/run");
    ASSERT_TRUE(made);
    ASSERT_TRUE(made->write("2", "two"));
    ASSERT_TRUE(made->write("1", "one"));
    ASSERT_TRUE(made->write("1", "another"));

    EXPECT_EQ(made->names(), (std::vector<std::string>{"1", "2"}));
    EXPECT_EQ(made->read("1"), "another");
    made->remove("1");
    EXPECT_EQ(made->read("1"), std::nullopt);
    EXPECT_EQ(made->names(), std::vector<std::string>{"2"});
}

TEST_F(RunDirectoryTest, WhatWasNotWrittenToItsEndIsSetApart) {
    const auto made = RunDirectory::open_at(place + "/run");
    ASSERT_TRUE(made);
    std::ofstream(place + "/run/7.json.new") << "{";
    EXPECT_TRUE(made->names().empty());
    EXPECT_EQ(made->unfinished(), std::vector<std::string>{"7.json"});
    made->remove("7.json");
    EXPECT_TRUE(made->unfinished().empty());
}

TEST_F(RunDirectoryTest, IsTheUsersAlone) {
    ASSERT_TRUE(RunDirectory::open_at(place + "/run"));
    struct stat found {};
    ASSERT_EQ(::stat((place + "/run").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777U, 0700U);
    ASSERT_TRUE(RunDirectory::open_at(place + "/run")) << "it is there already";

    std::filesystem::create_directory_symlink(place + "/run", place + "/link");
    EXPECT_FALSE(RunDirectory::open_at(place + "/link"));
    ASSERT_EQ(::chmod((place + "/run").c_str(), 0770), 0);
    const auto refused = RunDirectory::open_at(place + "/run");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("XDG_RUNTIME_DIR"), std::string_view::npos);
}

TEST_F(RunDirectoryTest, ReadsNoLinksAndNoDirectories) {
    const auto made = RunDirectory::open_at(place + "/run");
    ASSERT_TRUE(made);
    std::ofstream(place + "/secret") << "secret";
    std::filesystem::create_symlink(place + "/secret", place + "/run/link");
    std::filesystem::create_directory(place + "/run/directory");

    EXPECT_EQ(made->read("link"), std::nullopt);
    EXPECT_EQ(made->read("directory"), std::nullopt);
}

TEST(ProcessStart, TellsTheLivingFromTheDead) {
    const auto own = process_start(::getpid());
    ASSERT_TRUE(own);
    EXPECT_GT(*own, 0U);
    EXPECT_EQ(process_start(::getpid()), own);
    EXPECT_EQ(process_start(0), std::nullopt);
}

}  // namespace
}  // namespace banyan
