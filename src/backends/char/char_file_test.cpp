#include "backends/char/char_file.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr std::array<uint8_t, 3> kText{'a', 'b', 'c'};

TEST(CharFile, ReplacesTheContentOfItsFile) {
    std::string directory = testing::TempDir() + "banyan-char-XXXXXX";
    ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    const std::string path = directory + "/log";
    std::ofstream(path) << "older and longer";

    auto file = CharFile::create(path, "write the console to");
    ASSERT_TRUE(file);
    EXPECT_EQ((*file)->write(kText), 3U);
    EXPECT_EQ((*file)->write(kText), 3U);

    EXPECT_EQ(std::filesystem::file_size(path), 6U);
    std::filesystem::remove_all(directory);
}

TEST(CharFile, AFullDiskDropsTheRest) {
    auto file = CharFile::create("/dev/full", "write the console to");
    ASSERT_TRUE(file);

    EXPECT_EQ((*file)->write(kText), 3U);
    EXPECT_EQ((*file)->write(kText), 3U);
}

TEST(CharFile, AFileThatCannotBeMadeIsAnError) {
    const auto file = CharFile::create("/nowhere/log", "write the console to");

    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().text(),
              "write the console to '/nowhere/log': No such file or directory; give the name of a "
              "file that you may "
              "write");
}

}  // namespace
}  // namespace banyan
