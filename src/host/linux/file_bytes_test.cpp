#include "host/linux/file_bytes.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace banyan {
namespace {

class FileBytesTest : public testing::Test {
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

TEST_F(FileBytesTest, ReadsAWholeFile) {
    const auto file = FileBytes::read(make("kernel", "abc"), 3, "read the kernel");

    ASSERT_TRUE(file);
    ASSERT_EQ(file->bytes().size(), 3U);
    EXPECT_EQ(file->bytes()[2], std::byte{'c'});
}

TEST_F(FileBytesTest, SaysWhyItRefuses) {
    const std::string fifo = directory + "/fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const auto why = [](const std::string& path) {
        const auto file = FileBytes::read(path, 3, "read the kernel");
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
