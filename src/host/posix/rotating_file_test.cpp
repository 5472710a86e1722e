#include "host/posix/rotating_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace banyan {
namespace {

class RotatingFileTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        path = directory + "/log";
        auto made = RotatingFile::create(path, 10);
        ASSERT_TRUE(made) << made.error().text();
        file = std::move(*made);
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    static std::string content(const std::string& of) {
        std::stringstream text;
        text << std::ifstream(of).rdbuf();
        return text.str();
    }

    std::string directory = testing::TempDir() + "banyan-rotating-XXXXXX";
    std::string path;
    std::unique_ptr<RotatingFile> file;
};

TEST_F(RotatingFileTest, KeepsWhatWasWritten) {
    file->write("one ");
    file->write("two");
    EXPECT_EQ(content(path), "one two");
    EXPECT_FALSE(std::filesystem::exists(RotatingFile::older(path)));
}

TEST_F(RotatingFileTest, KeepsTheLastPartOnly) {
    file->write("0123456789");
    file->write("abcdefghijklmno");
    EXPECT_EQ(content(path), "klmno");
    EXPECT_EQ(content(RotatingFile::older(path)), "abcdefghij");
}

TEST_F(RotatingFileTest, ADirectoryThatHasGoneIsNoHarm) {
    std::filesystem::remove_all(directory);
    file->write(std::string(100, 'x'));
}

TEST_F(RotatingFileTest, IsForItsUserAlone) {
    const auto bits = std::filesystem::status(path).permissions();
    EXPECT_EQ(bits, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(RotatingFilePlace, MustBeThere) {
    const auto made = RotatingFile::create("/nowhere/log", 10);
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().text().find("keep a log in"), std::string::npos);
}

}  // namespace
}  // namespace banyan
