#include "host/linux/event_loop.hpp"

#include <array>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "host/posix/host_error.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

constexpr uint64_t kWakeId = 0;
constexpr std::string_view kTooMany = "raise the limit of open files (ulimit -n)";

bool wanted(Readiness interest) {
    return interest.readable || interest.writable;
}

uint32_t epoll_bits(Readiness interest) {
    return (interest.readable ? uint32_t{EPOLLIN} : 0U) |
           (interest.writable ? uint32_t{EPOLLOUT} : 0U);
}

void signal_eventfd(int fd) {
    const uint64_t one = 1;
    // It can only fail when the counter is full, and then the reader is awake anyway.
    [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof(one));
}

void clear_eventfd(int fd) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(fd, &count, sizeof(count));
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kWakeId;
    if (!epoll.valid() || !wake.valid() ||
        ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
        return host_fail(errno, "make an event loop", kTooMany);
    }
    return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

EventLoop::~EventLoop() {
    BANYAN_ASSERT(watches_.empty());
}

Result<void> EventLoop::watch(int handle, Readiness interest, PollClient& client) {
    const std::lock_guard lock(mutex_);
    const auto [position, added] = watches_.try_emplace(handle);
    BANYAN_ASSERT(added);
    Watch& watch = position->second;
    watch.id = next_id_++;
    watch.interest = interest;
    watch.client = &client;
    auto applied = apply_interest(handle, watch);
    if (!applied) watches_.erase(position);
    return applied;
}

void EventLoop::set_interest(int handle, Readiness interest) {
    const std::lock_guard lock(mutex_);
    const auto position = watches_.find(handle);
    if (position == watches_.end()) return;
    position->second.interest = interest;
    if (!apply_interest(handle, position->second)) position->second.always_ready = true;
}

// A handle that nobody is interested in leaves the epoll set: it would report a peer that has gone
// for ever.
Result<void> EventLoop::apply_interest(int handle, Watch& watch) {
    const bool want = wanted(watch.interest);
    if (watch.always_ready) {
        if (want) interrupt();
        return {};
    }
    if (!want && !watch.in_epoll) return {};
    const int operation = !want ? EPOLL_CTL_DEL : (watch.in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
    epoll_event event{};
    event.events = epoll_bits(watch.interest);
    event.data.u64 = watch.id;
    if (::epoll_ctl(epoll_.get(), operation, handle, &event) == 0) {
        watch.in_epoll = want;
        return {};
    }
    if (errno != EPERM) return host_fail(errno, "watch a stream", kTooMany);
    watch.always_ready = true;
    interrupt();
    return {};
}

void EventLoop::unwatch(int handle) {
    std::unique_lock lock(mutex_);
    const auto position = watches_.find(handle);
    if (position == watches_.end()) return;
    const uint64_t id = position->second.id;
    if (position->second.in_epoll) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, handle, nullptr);
    watches_.erase(position);
    if (std::this_thread::get_id() == thread_) return;
    call_ended_.wait(lock, [&] { return calling_ != id; });
}

void EventLoop::run() {
    {
        const std::lock_guard lock(mutex_);
        thread_ = std::this_thread::get_id();
    }
    std::vector<Event> events;
    while (!stopping_.load(std::memory_order_acquire)) {
        collect(events);
        for (const Event& event : events) {
            if (stopping_.load(std::memory_order_acquire)) break;
            deliver(event);
        }
    }
    stopping_.store(false, std::memory_order_release);
    const std::lock_guard lock(mutex_);
    thread_ = {};
}

void EventLoop::stop() {
    stopping_.store(true, std::memory_order_release);
    interrupt();
}

void EventLoop::interrupt() {
    signal_eventfd(wake_.get());
}

bool EventLoop::any_always_ready() const {
    for (const auto& [handle, watch] : watches_) {
        if (watch.always_ready && wanted(watch.interest)) return true;
    }
    return false;
}

void EventLoop::collect(std::vector<Event>& events) {
    events.clear();
    bool may_wait = true;
    {
        const std::lock_guard lock(mutex_);
        may_wait = !any_always_ready();
    }
    std::array<epoll_event, 16> found{};
    const int count =
        ::epoll_wait(epoll_.get(), found.data(), static_cast<int>(found.size()), may_wait ? -1 : 0);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = found[static_cast<size_t>(i)];
        if (event.data.u64 == kWakeId) {
            clear_eventfd(wake_.get());
            continue;
        }
        // The end of a stream and errors show at the next read or write.
        const bool ended = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
        events.push_back(
            {event.data.u64,
             {ended || (event.events & EPOLLIN) != 0, ended || (event.events & EPOLLOUT) != 0}});
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [handle, watch] : watches_) {
        if (watch.always_ready && wanted(watch.interest))
            events.push_back({watch.id, {true, true}});
    }
}

void EventLoop::deliver(const Event& event) {
    PollClient* client = nullptr;
    Readiness ready = event.ready;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [handle, watch] : watches_) {
            if (watch.id != event.id) continue;
            ready.readable &= watch.interest.readable;
            ready.writable &= watch.interest.writable;
            if (wanted(ready)) client = watch.client;
        }
        if (client == nullptr) return;
        calling_ = event.id;
    }
    client->on_ready(ready);
    const std::lock_guard lock(mutex_);
    calling_ = 0;
    call_ended_.notify_all();
}

}  // namespace banyan
