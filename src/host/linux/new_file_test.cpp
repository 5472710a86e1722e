#include "host/linux/new_file.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace banyan {
namespace {

using IfThere = NewFile::IfThere;

class NewFileTest : public testing::Test {
protected:
    void SetUp() override {
        directory = testing::TempDir() + "banyan-new-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        path = directory + "/file";
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    static std::string content(const std::string& name) {
        std::ifstream file(name);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    auto files() const { return std::distance(std::filesystem::directory_iterator(directory), {}); }

    std::string directory;
    std::string path;
};

TEST_F(NewFileTest, GetsItsNameWhenItIsKept) {
    auto file = NewFile::create(path, IfThere::refuse);
    ASSERT_TRUE(file) << file.error().text();
    std::ofstream(file->temporary_path()) << "hello";
    EXPECT_FALSE(std::filesystem::exists(path));

    ASSERT_TRUE(file->keep());

    EXPECT_EQ(content(path), "hello");
    EXPECT_EQ(files(), 1);
}

TEST_F(NewFileTest, LeavesNothingWhenItIsNotKept) {
    { ASSERT_TRUE(NewFile::create(path, IfThere::refuse)); }
    EXPECT_EQ(files(), 0);
}

TEST_F(NewFileTest, ReplacesOnlyWhatItMay) {
    std::ofstream(path) << "old";
    const auto refused = NewFile::create(path, IfThere::refuse);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("--force"), std::string::npos);

    auto file = NewFile::create(path, IfThere::replace);
    ASSERT_TRUE(file);
    EXPECT_EQ(content(path), "old");
    ASSERT_TRUE(file->keep());
    EXPECT_EQ(content(path), "");
    EXPECT_FALSE(NewFile::create(directory, IfThere::replace));
}

TEST_F(NewFileTest, DoesNotReplaceWhatCameMeanwhile) {
    auto file = NewFile::create(path, IfThere::refuse);
    std::ofstream(path) << "other";

    EXPECT_FALSE(file->keep());
    EXPECT_EQ(content(path), "other");
}

TEST_F(NewFileTest, SaysWhenItCannotBeMade) {
    const auto file = NewFile::create(directory + "/none/file", IfThere::refuse);
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().text().find("No such file or directory"), std::string::npos);
}

}  // namespace
}  // namespace banyan
