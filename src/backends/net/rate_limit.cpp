#include "backends/net/rate_limit.hpp"

#include <cerrno>
#include <chrono>
#include <sys/timerfd.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

RateBucket::Time rate_now() {
    return std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace

Result<std::unique_ptr<RateLimit>> RateLimit::create(Poller& poller, uint64_t bytes_per_second,
                                                     std::unique_ptr<NetBackend> network) {
    auto limit = std::unique_ptr<RateLimit>(new RateLimit(poller, std::move(network)));
    TRY(limit->to_network_.open());
    TRY(limit->to_guest_.open());
    limit->set_rate(bytes_per_second);
    return limit;
}

RateLimit::~RateLimit() {
    to_network_.unwatch();
    to_guest_.unwatch();
}

void RateLimit::set_rate(uint64_t bytes_per_second) {
    rate_ = bytes_per_second;
    to_network_.set_rate(bytes_per_second);
    to_guest_.set_rate(bytes_per_second);
}

Result<void> RateLimit::start(NetClient& client) {
    client_ = &client;
    TRY(to_network_.watch());
    auto started = to_guest_.watch();
    if (started) started = network_->start(*this);
    if (!started) {
        to_network_.unwatch();
        to_guest_.unwatch();
    }
    return started;
}

void RateLimit::stop() {
    to_network_.unwatch();
    to_guest_.unwatch();
    network_->stop();
}

size_t RateLimit::send(std::span<const NetFrame> frames) {
    if (rate_.load(std::memory_order_relaxed) == 0) return network_->send(frames);
    const auto admitted = frames.first(to_network_.admit(frames));
    if (admitted.empty()) return 0;
    const size_t taken = network_->send(admitted);
    to_network_.give_back(admitted.subspan(taken));
    return taken;
}

size_t RateLimit::on_frames(std::span<const NetFrame> frames) {
    if (rate_.load(std::memory_order_relaxed) == 0) return client_->on_frames(frames);
    const auto admitted = frames.first(to_guest_.admit(frames));
    if (admitted.empty()) return 0;
    const size_t taken = client_->on_frames(admitted);
    to_guest_.give_back(admitted.subspan(taken));
    return taken;
}

Result<void> RateLimit::Direction::open() {
    timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (timer_.valid()) return {};
    return host_fail(errno, "limit the rate of a network",
                     "raise the limit of open files (ulimit -n)");
}

Result<void> RateLimit::Direction::watch() {
    return limit_.poller_.watch(timer_.get(), {.readable = true}, *this);
}

void RateLimit::Direction::unwatch() {
    limit_.poller_.unwatch(timer_.get());
}

// Who waits asks again at once.
void RateLimit::Direction::set_rate(uint64_t bytes_per_second) {
    MutexLock lock(mutex_);
    bucket_ = RateBucket(bytes_per_second);
    set_timer(RateBucket::Time(0));
}

size_t RateLimit::Direction::admit(std::span<const NetFrame> frames) {
    const auto now = rate_now();
    MutexLock lock(mutex_);
    size_t admitted = 0;
    while (admitted < frames.size() && bucket_.take(frames[admitted].size, now))
        ++admitted;
    if (admitted < frames.size()) set_timer(bucket_.turn() - now);
    return admitted;
}

void RateLimit::Direction::give_back(std::span<const NetFrame> frames) {
    if (frames.empty()) return;
    MutexLock lock(mutex_);
    for (const NetFrame& frame : frames)
        bucket_.give_back(frame.size);
}

// Set under the lock, so that the last one asked for holds. A time of 0 would switch it off.
void RateLimit::Direction::set_timer(RateBucket::Time in) const {
    constexpr RateBucket::Time kSoonest{1000};
    in = std::max(in, kSoonest);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(in);
    itimerspec when{};
    when.it_value.tv_sec = seconds.count();
    when.it_value.tv_nsec = (in - seconds).count();
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

void RateLimit::Direction::on_ready(Readiness) {
    uint64_t count = 0;
    if (::read(timer_.get(), &count, sizeof(count)) < 0) return;
    (limit_.*tell_)();
}

}  // namespace banyan
