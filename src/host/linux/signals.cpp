#include "host/linux/signals.hpp"

#include <csignal>
#include <sys/signalfd.h>

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

}  // namespace

void hold_signals(std::initializer_list<int> numbers) {
    const sigset_t set = signal_set(numbers);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
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
