#include "host/linux/terminal.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <initializer_list>
#include <termios.h>
#include <unistd.h>

#include "host/posix/host_error.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

// Globals, because signal handlers and exit() have nothing else. Written before raw_fd says that
// they are valid.
termios g_saved{};
std::atomic<int> g_raw_fd{-1};
static_assert(std::atomic<int>::is_always_lock_free);

// Changing the terminal from the background would stop the process (SIGTTOU), and disturb whoever
// has it now. A terminal that does not control this process (tcgetpgrp() fails) has no foreground.
bool in_foreground(int fd) {
    const pid_t group = ::tcgetpgrp(fd);
    return group < 0 || group == ::getpgrp();
}

// By our own fault: restore, then die as without us (SA_RESETHAND put the default action back).
void on_fatal_signal(int number) {
    restore_terminal();
    ::raise(number);
}

void catch_fatal_signals() {
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP}) {
        struct sigaction current {};
        ::sigaction(number, nullptr, &current);
        // Sanitizers and engines have handlers of their own.
        if ((current.sa_flags & SA_SIGINFO) != 0 || current.sa_handler != SIG_DFL) continue;
        struct sigaction action {};
        action.sa_handler = on_fatal_signal;
        action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
        ::sigaction(number, &action, nullptr);
    }
}

bool make_raw(int fd) {
    termios raw = g_saved;
    ::cfmakeraw(&raw);
    if (::tcsetattr(fd, TCSANOW, &raw) != 0) return false;
    g_raw_fd.store(fd, std::memory_order_release);
    return true;
}

}  // namespace

Result<std::unique_ptr<RawTerminal>> RawTerminal::enter(int fd) {
    BANYAN_ASSERT(!terminal_is_raw());
    static const bool prepared = [] {
        catch_fatal_signals();
        return std::atexit(restore_terminal) == 0;
    }();
    BANYAN_ASSERT(prepared);
    if (::tcgetattr(fd, &g_saved) != 0 || !make_raw(fd)) {
        return host_fail(errno, "put the terminal into raw mode",
                         "use --console none or file:PATH");
    }
    return std::unique_ptr<RawTerminal>(new RawTerminal(fd));
}

RawTerminal::~RawTerminal() {
    leave();
}

void RawTerminal::leave() {
    restore_terminal();
}

void RawTerminal::enter_again() {
    if (terminal_is_raw() || !in_foreground(fd_)) return;
    if (::tcgetattr(fd_, &g_saved) == 0) make_raw(fd_);
}

void fill_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) >= 0) continue;
        // The lowest free descriptor is this one: those below it are open by now.
        if (::open("/dev/null", O_RDWR) != fd) ::_exit(EXIT_FAILURE);
    }
}

bool terminal_is_raw() {
    return g_raw_fd.load(std::memory_order_acquire) >= 0;
}

void restore_terminal() noexcept {
    const int saved_errno = errno;
    const int fd = g_raw_fd.exchange(-1, std::memory_order_acq_rel);
    // Not TCSADRAIN: output that a stopped terminal (^S) holds back must not hold us.
    if (fd >= 0 && in_foreground(fd)) ::tcsetattr(fd, TCSANOW, &g_saved);
    errno = saved_errno;
}

}  // namespace banyan
