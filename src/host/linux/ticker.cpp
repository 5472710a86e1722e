#include "host/linux/ticker.hpp"

#include <sys/timerfd.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

itimerspec every(std::chrono::milliseconds period) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(period);
    const std::chrono::nanoseconds rest = period - seconds;
    const timespec interval{.tv_sec = seconds.count(), .tv_nsec = rest.count()};
    return {.it_interval = interval, .it_value = interval};
}

}  // namespace

Result<std::unique_ptr<Ticker>> Ticker::create(Poller& poller, std::chrono::milliseconds period,
                                               std::function<void()> action) {
    UniqueFd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    const itimerspec times = every(period);
    if (!fd.valid() || ::timerfd_settime(fd.get(), 0, &times, nullptr) != 0)
        return host_fail(errno, "make a timer", "raise the limit of open files (ulimit -n)");
    auto ticker = std::unique_ptr<Ticker>(new Ticker(poller, std::move(fd), std::move(action)));
    TRY(poller.watch(ticker->fd_.get(), {.readable = true}, *ticker));
    return ticker;
}

void Ticker::set_period(std::chrono::milliseconds period) {
    const itimerspec times = every(period);
    ::timerfd_settime(fd_.get(), 0, &times, nullptr);
}

Ticker::~Ticker() {
    poller_.unwatch(fd_.get());
}

void Ticker::on_ready(Readiness) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(fd_.get(), &count, sizeof(count));
    action_();
}

}  // namespace banyan
