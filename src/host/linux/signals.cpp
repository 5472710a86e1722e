#include "host/linux/signals.hpp"

#include <atomic>
#include <csignal>
#include <cstring>
#include <sys/signalfd.h>

#include "host/linux/terminal.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

sigset_t signal_set(std::initializer_list<int> numbers) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : numbers)
        sigaddset(&set, number);
    return set;
}

std::atomic<const SignalEnd*> g_end{nullptr};
static_assert(std::atomic<const SignalEnd*>::is_always_lock_free);

// Async-signal-safe: nothing here allocates or locks.
void end_process(int) {
    const SignalEnd* end = g_end.load();
    restore_terminal();
    [[maybe_unused]] const ssize_t written =
        ::write(STDERR_FILENO, end->message, std::strlen(end->message));
    ::_exit(end->status);
}

}  // namespace

void hold_signals(std::initializer_list<int> numbers) {
    const sigset_t set = signal_set(numbers);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int held_signal() {
    sigset_t pending;
    sigset_t held;
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, nullptr, &held);
    for (const int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) {
        if (sigismember(&pending, number) == 1 && sigismember(&held, number) == 1) return number;
    }
    return 0;
}

void end_at_signals(std::initializer_list<int> numbers, const SignalEnd& end) {
    g_end = &end;
    struct sigaction action {};
    action.sa_handler = end_process;
    sigfillset(&action.sa_mask);
    for (const int number : numbers)
        ::sigaction(number, &action, nullptr);
    const sigset_t set = signal_set(numbers);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool is_ignored(int number) {
    struct sigaction action {};
    return ::sigaction(number, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
           action.sa_handler == SIG_IGN;
}

void ignore_write_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

Result<std::unique_ptr<SignalWatch>> SignalWatch::create(Poller& poller,
                                                         std::initializer_list<int> numbers,
                                                         Action action) {
    const sigset_t set = signal_set(numbers);
    UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd.valid())
        return host_fail(errno, "wait for signals", "raise the limit of open files (ulimit -n)");
    auto watch =
        std::unique_ptr<SignalWatch>(new SignalWatch(poller, std::move(fd), std::move(action)));
    TRY(poller.watch(watch->fd_.get(), {.readable = true}, *watch));
    return watch;
}

SignalWatch::~SignalWatch() {
    poller_.unwatch(fd_.get());
}

void SignalWatch::on_ready(Readiness) {
    signalfd_siginfo info{};
    while (::read(fd_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
        action_(static_cast<int>(info.ssi_signo));
    }
}

}  // namespace banyan
