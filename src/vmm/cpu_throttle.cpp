#include "vmm/cpu_throttle.hpp"

#include <algorithm>
#include <chrono>

#include "host/linux/thread_times.hpp"
#include "host/posix/threads.hpp"

namespace banyan {

namespace {

uint64_t monotonic_nanoseconds() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
}

}  // namespace

CpuThrottle::~CpuThrottle() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

bool CpuThrottle::is_a_rate(const std::optional<uint64_t>& rate) const {
    return rate && *rate < vcpus_.size() * kOneCpu;
}

void CpuThrottle::set_rate(std::optional<uint64_t> rate) {
    {
        const std::lock_guard lock(mutex_);
        if (rate == rate_) return;
        rate_ = rate;
        if (rate_) rate_ = std::max<uint64_t>(*rate_, 1);
    }
    changed_.notify_all();
    if (!thread_.joinable() && is_a_rate(rate))
        thread_ = start_thread(ThreadKind::loop, "throttle", [this] { live(); });
}

void CpuThrottle::live() {
    std::unique_lock lock(mutex_);
    while (!ends_) {
        if (is_a_rate(rate_)) {
            keep_to_rate(lock);
        } else {
            changed_.wait(lock);
        }
    }
}

// Until there is no rate any more, or an end.
void CpuThrottle::keep_to_rate(std::unique_lock<std::mutex>& lock) {
    looked_at_ = monotonic_nanoseconds();
    CpuBudget budget(*rate_, vcpus_.size(), looked_at_, used());
    while (!ends_ && is_a_rate(rate_)) {
        budget.set_rate(*rate_);
        const uint64_t now = monotonic_nanoseconds();
        const CpuBudget::Decision decision = budget.decide(now, used());
        hold(!decision.may_run, now);
        changed_.wait_for(lock, std::chrono::nanoseconds(decision.look_again_in));
    }
    hold(false, monotonic_nanoseconds());
}

void CpuThrottle::hold(bool held, uint64_t now) {
    if (holds_) held_ += now - looked_at_;
    looked_at_ = now;
    if (held != holds_) vcpus_.throttle(held);
    holds_ = held;
}

uint64_t CpuThrottle::used() const {
    uint64_t all = 0;
    for (unsigned i = 0; i < vcpus_.size(); ++i)
        all += thread_cpu_time(vcpus_.thread_id(i));
    return all;
}

}  // namespace banyan
