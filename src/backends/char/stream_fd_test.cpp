#include "backends/char/stream_fd.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>

namespace banyan {
namespace {

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
    }
    UniqueFd read_end;
    UniqueFd write_end;
};

TEST(StreamFd, BorrowingLeavesTheSharedFlagsAlone) {
    Pipe pipe;
    const auto out = StreamFd::borrow(pipe.write_end.get(), StreamFd::Direction::out);
    const auto in = StreamFd::borrow(pipe.read_end.get(), StreamFd::Direction::in);
    std::array<uint8_t, 4> bytes{};

    EXPECT_EQ(in.read(bytes), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(out.write(bytes), 4);
    EXPECT_EQ(in.read(bytes), 4);
    EXPECT_EQ(::fcntl(pipe.write_end.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(::fcntl(pipe.read_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(StreamFd, ABorrowedSocketDoesNotBlock) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const UniqueFd here(ends[0]);
    const UniqueFd there(ends[1]);
    const auto in = StreamFd::borrow(here.get(), StreamFd::Direction::in);
    const auto out = StreamFd::borrow(there.get(), StreamFd::Direction::out);
    std::array<uint8_t, 4> bytes{};

    EXPECT_EQ(in.read(bytes), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(out.write(bytes), 4);
    EXPECT_EQ(in.read(bytes), 4);
    EXPECT_EQ(::fcntl(here.get(), F_GETFL) & O_NONBLOCK, 0);
}

// A pipe without a reader cannot be opened anew for writing: the descriptor itself is asked.
TEST(StreamFd, AskingFirstNeitherBlocksNorHidesErrors) {
    std::signal(SIGPIPE, SIG_IGN);
    Pipe pipe;
    pipe.read_end.reset();
    const auto out = StreamFd::borrow(pipe.write_end.get(), StreamFd::Direction::out);
    const std::array<uint8_t, 4> bytes{};

    EXPECT_EQ(out.write(bytes), -1);
    EXPECT_EQ(errno, EPIPE);
}

TEST(StreamFd, AFileKeepsItsPosition) {
    std::string path = testing::TempDir() + "banyan-stream-XXXXXX";
    const UniqueFd file(::mkstemp(path.data()));
    ASSERT_TRUE(file.valid());
    ::unlink(path.c_str());
    ASSERT_EQ(::write(file.get(), "head", 4), 4);
    const std::array<uint8_t, 4> tail{'t', 'a', 'i', 'l'};
    const auto out = StreamFd::borrow(file.get(), StreamFd::Direction::out);

    EXPECT_EQ(out.write(tail), 4);

    std::array<char, 8> content{};
    EXPECT_EQ(::pread(file.get(), content.data(), content.size(), 0), 8);
    EXPECT_EQ(std::string(content.data(), content.size()), "headtail");
}

}  // namespace
}  // namespace banyan
