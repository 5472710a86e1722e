#include "host/linux/host_timers.hpp"

#include <algorithm>
#include <chrono>
#include <sys/prctl.h>

#include "host/posix/threads.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

constexpr uint64_t kNever = ~uint64_t{0};
constexpr uint64_t kLongestSleepNs =
    3'600'000'000'000;  // keeps the arithmetic of far deadlines in range

}  // namespace

class HostTimers::Entry : public Timer {
public:
    Entry(HostTimers& timers, TimerClient& client, unsigned cookie)
        : timers_(timers), client_(client), cookie_(cookie) {
        Queue one;
        idle_node_ = one.extract(one.emplace(kNever, this));
    }
    ~Entry() override { timers_.remove(*this); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    void arm(uint64_t deadline_ns) override { timers_.arm(*this, deadline_ns); }
    void cancel() override { timers_.cancel(*this); }

private:
    friend class HostTimers;
    HostTimers& timers_;
    TimerClient& client_;
    const unsigned cookie_;
    Queue::node_type idle_node_;  // not empty while the timer is not armed
    Queue::iterator position_{};  // else its place in the queue
};

HostTimers::HostTimers(const HostClock& clock) : clock_(clock) {
    thread_ = start_thread(ThreadKind::device, "timers", [this] { run(); });
}

HostTimers::~HostTimers() {
    {
        const std::lock_guard lock(mutex_);
        BANYAN_ASSERT(queue_.empty());
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

std::unique_ptr<Timer> HostTimers::create_timer(TimerClient& client, unsigned cookie) {
    return std::make_unique<Entry>(*this, client, cookie);
}

void HostTimers::clock_changed() {
    const std::lock_guard lock(mutex_);
    changed_.notify_one();
}

void HostTimers::arm(Entry& entry, uint64_t deadline_ns) {
    const std::lock_guard lock(mutex_);
    unqueue(entry);
    entry.idle_node_.key() = deadline_ns;
    entry.position_ = queue_.insert(std::move(entry.idle_node_));
    // A later deadline is found when the thread wakes for the one that it sleeps for.
    if (deadline_ns < sleeping_until_) changed_.notify_one();
}

void HostTimers::cancel(Entry& entry) {
    const std::lock_guard lock(mutex_);
    unqueue(entry);
}

void HostTimers::remove(Entry& entry) {
    std::unique_lock lock(mutex_);
    unqueue(entry);
    if (std::this_thread::get_id() == thread_.get_id()) return;
    rung_.wait(lock, [&] { return ringing_ != &entry; });
}

void HostTimers::unqueue(Entry& entry) {
    if (entry.idle_node_.empty()) entry.idle_node_ = queue_.extract(entry.position_);
}

void HostTimers::run() {
    // The kernel may otherwise bundle wake-ups of a thread within 50 us.
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (clock_.running() && !queue_.empty() && queue_.begin()->first <= clock_.now_ns()) {
            ring_first(lock);
        } else {
            sleep_until_first(lock);
        }
    }
}

void HostTimers::ring_first(std::unique_lock<std::mutex>& lock) {
    Entry& entry = *queue_.begin()->second;
    unqueue(entry);
    ringing_ = &entry;
    lock.unlock();
    entry.client_.on_timer(entry.cookie_);
    lock.lock();
    ringing_ = nullptr;
    rung_.notify_all();
}

void HostTimers::sleep_until_first(std::unique_lock<std::mutex>& lock) {
    if (!clock_.running() || queue_.empty()) {
        sleeping_until_ = kNever;
        changed_.wait(lock);
    } else {
        sleeping_until_ = queue_.begin()->first;
        const uint64_t now = clock_.now_ns();
        const uint64_t rest =
            std::min(sleeping_until_ - std::min(now, sleeping_until_), kLongestSleepNs);
        changed_.wait_until(lock,
                            std::chrono::steady_clock::now() + std::chrono::nanoseconds(rest));
    }
    sleeping_until_ = 0;
}

}  // namespace banyan
