#include "host/linux/input_file.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace banyan {
namespace {

class InputFileTest : public testing::Test {
protected:
    void SetUp() override {
        directory = testing::TempDir() + "banyan-file-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    std::string make(const std::string& name, std::string_view content) const {
        std::ofstream(directory + "/" + name) << content;
        return directory + "/" + name;
    }
    std::string directory;
};

TEST_F(InputFileTest, ReadsAnyPart) {
    const auto file = InputFile::open(make("kernel", "abc"), 3, "read the kernel");
    ASSERT_TRUE(file);
    EXPECT_EQ(file->size(), 3U);

    std::array<std::byte, 2> part{};
    ASSERT_TRUE(file->read(1, part));
    EXPECT_EQ(part[0], std::byte{'b'});
    EXPECT_EQ(part[1], std::byte{'c'});
}

TEST_F(InputFileTest, SaysThatAFileBecameShorter) {
    const std::string path = make("kernel", "abc");
    const auto file = InputFile::open(path, 3, "read the kernel");
    ASSERT_TRUE(file);
    std::filesystem::resize_file(path, 1);

    std::array<std::byte, 3> all{};
    const auto result = file->read(0, all);
    ASSERT_FALSE(result);
    EXPECT_NE(std::string_view(result.error().text()).find("became shorter"),
              std::string_view::npos);
}

TEST_F(InputFileTest, SaysWhyItRefuses) {
    const std::string fifo = directory + "/fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const auto why = [](const std::string& path) {
        const auto file = InputFile::open(path, 3, "read the kernel");
        return file ? std::string("nothing") : std::string(file.error().text());
    };

    EXPECT_NE(why(directory + "/none").find("No such file or directory"), std::string::npos);
    EXPECT_NE(why(directory).find("it is a directory"), std::string::npos);
    EXPECT_NE(why(fifo).find("not a regular file"), std::string::npos);
    EXPECT_NE(why(make("empty", "")).find("the file is empty"), std::string::npos);
    EXPECT_NE(why(make("big", "abcd")).find("give more memory or a smaller file"),
              std::string::npos);
}

}  // namespace
}  // namespace banyan
