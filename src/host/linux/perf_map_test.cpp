#include "host/linux/perf_map.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace banyan {
namespace {

std::string content(const std::string& path) {
    std::stringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
}

class PerfMapTest : public testing::Test {
protected:
    void TearDown() override { std::filesystem::remove(path); }
    const std::string path = fmt::format("/tmp/perf-{}.map", ::getpid());
};

TEST_F(PerfMapTest, ALineForEachPieceOfCode) {
    const auto map = PerfMap::create();
    ASSERT_TRUE(map);

    (*map)->on_host_code(reinterpret_cast<const void*>(0x7f0012345000), 0x1a0,
                         "guest:user:0x401000");
    (*map)->on_host_code(reinterpret_cast<const void*>(0x7f00123451a0), 16, "guest:kernel:0x1");

    EXPECT_EQ((*map)->path(), path);
    EXPECT_EQ(content(path),
              "7f0012345000 1a0 guest:user:0x401000\n7f00123451a0 10 guest:kernel:0x1\n");
}

TEST_F(PerfMapTest, NeverWritesToWhatWasThere) {
    const std::string other = path + ".other";
    std::ofstream(other) << "precious";
    std::filesystem::create_symlink(other, path);

    const auto map = PerfMap::create();
    ASSERT_TRUE(map);
    (*map)->on_host_code(nullptr, 1, "x");

    EXPECT_EQ(content(other), "precious");
    EXPECT_EQ(content(path), "0 1 x\n");
    std::filesystem::remove(other);
}

}  // namespace
}  // namespace banyan
