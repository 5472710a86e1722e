#include "backends/char/pty.hpp"

#include <array>
#include <fcntl.h>
#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(Pty, CarriesBytesUnchangedUnderItsName) {
    auto pty = open_pty();
    ASSERT_TRUE(pty) << pty.error().text();
    const UniqueFd user(::open(pty->path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(user.valid());
    const std::array<uint8_t, 3> line{'a', 0x03, '\n'};
    std::array<uint8_t, 8> got{};

    ASSERT_EQ(pty->out.write(line), 3);
    EXPECT_EQ(::read(user.get(), got.data(), got.size()), 3);
    EXPECT_EQ(got[1], 0x03);
    EXPECT_EQ(got[2], '\n');

    ASSERT_EQ(::write(user.get(), line.data(), line.size()), 3);
    EXPECT_EQ(pty->in.read(got), 3);
    EXPECT_EQ(pty->in.read(got), -1);
}

}  // namespace
}  // namespace banyan
