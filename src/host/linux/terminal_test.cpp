#include "host/linux/terminal.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>

#include "host/posix/unique_fd.hpp"

namespace banyan {
namespace {

class TerminalTest : public testing::Test {
protected:
    void SetUp() override {
        int master_fd = -1;
        int slave_fd = -1;
        ASSERT_EQ(::openpty(&master_fd, &slave_fd, nullptr, nullptr, nullptr), 0);
        master.reset(master_fd);
        slave.reset(slave_fd);
        ASSERT_TRUE(is_cooked());
    }

    bool is_cooked() const {
        termios mode{};
        EXPECT_EQ(::tcgetattr(slave.get(), &mode), 0);
        return (mode.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG) &&
               (mode.c_oflag & OPOST) != 0;
    }

    // Runs `body` in a child with the terminal raw; returns how the child ended.
    int status_of_child(const std::function<void(RawTerminal&)>& body) const {
        const pid_t child = ::fork();
        if (child == 0) {
            auto raw = RawTerminal::enter(slave.get());
            if (!raw || is_cooked()) ::_exit(99);
            body(**raw);
            ::_exit(98);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        return status;
    }

    UniqueFd master;
    UniqueFd slave;
};

TEST_F(TerminalTest, IsRawWhileTheObjectLives) {
    {
        auto raw = RawTerminal::enter(slave.get());
        ASSERT_TRUE(raw);
        EXPECT_FALSE(is_cooked());
        EXPECT_TRUE(terminal_is_raw());
    }
    EXPECT_TRUE(is_cooked());
    EXPECT_FALSE(terminal_is_raw());
}

TEST_F(TerminalTest, CanBeLeftAndEnteredAgain) {
    auto raw = RawTerminal::enter(slave.get());
    ASSERT_TRUE(raw);

    (*raw)->leave();
    EXPECT_TRUE(is_cooked());
    (*raw)->enter_again();
    EXPECT_FALSE(is_cooked());
}

TEST_F(TerminalTest, IsRestoredByExit) {
    const int status = status_of_child([](RawTerminal&) { std::exit(7); });

    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT_TRUE(is_cooked());
}

TEST_F(TerminalTest, IsRestoredByAbort) {
    const int status = status_of_child([](RawTerminal&) { std::abort(); });

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGABRT);
    EXPECT_TRUE(is_cooked());
}

TEST_F(TerminalTest, WhatIsNoTerminalIsAnError) {
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));

    EXPECT_FALSE(RawTerminal::enter(null.get()));
    EXPECT_FALSE(terminal_is_raw());
}

TEST(StandardStreams, ClosedOnesAreFilled) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(STDIN_FILENO);
        ::close(STDOUT_FILENO);
        fill_standard_streams();
        const bool filled =
            ::fcntl(STDIN_FILENO, F_GETFD) >= 0 && ::write(STDOUT_FILENO, "x", 1) == 1;
        ::_exit(filled ? 7 : 1);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace banyan
