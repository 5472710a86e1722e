#include "resources/cpu_budget.hpp"

#include <algorithm>

namespace banyan {

namespace {

constexpr uint64_t kMillisecond = 1'000'000;
// What the bucket holds is earned in this time.
constexpr uint64_t kWindow = 20 * kMillisecond;
// More than this is not owed: a host that slept must not let a guest pay for it.
constexpr uint64_t kLongestDebt = 1000 * kMillisecond;
constexpr uint64_t kShortestLook = kMillisecond;
constexpr uint64_t kLongestLook = 10 * kMillisecond;
constexpr uint64_t kIdleLook = 50 * kMillisecond;

}  // namespace

CpuBudget::CpuBudget(uint64_t rate, unsigned cpus, uint64_t now, uint64_t used)
    : rate_(rate), cpus_(cpus), last_(now), used_(used), balance_(earned_in(kWindow)) {}

int64_t CpuBudget::earned_in(uint64_t nanoseconds) const {
    return static_cast<int64_t>(nanoseconds * rate_ / kOneCpu);
}

uint64_t CpuBudget::time_to_earn(int64_t nanoseconds) const {
    return static_cast<uint64_t>(nanoseconds) * kOneCpu / rate_;
}

CpuBudget::Decision CpuBudget::decide(uint64_t now, uint64_t used) {
    const uint64_t elapsed = std::min(now - last_, kLongestDebt);
    const auto spent = static_cast<int64_t>(used - used_);
    idles_ = runs_ && static_cast<uint64_t>(spent) < elapsed / 50;
    const int64_t most_owed = std::max<int64_t>(earned_in(kLongestDebt), kLongestLook);
    balance_ = std::clamp(balance_ + earned_in(elapsed) - spent, -most_owed, earned_in(kWindow));
    last_ = now;
    used_ = used;
    const int64_t enough = runs_ ? 0 : earned_in(kWindow / 2);
    runs_ = balance_ > enough || (!runs_ && balance_ == enough);
    return runs_ ? run() : hold();
}

// The bucket cannot be empty before that.
CpuBudget::Decision CpuBudget::run() {
    const uint64_t burn = cpus_ * kOneCpu;
    if (idles_) return {true, kIdleLook};
    if (burn <= rate_) return {true, kLongestLook};
    const uint64_t until_empty = static_cast<uint64_t>(balance_) * kOneCpu / (burn - rate_);
    return {true, std::clamp(until_empty, kShortestLook, kLongestLook)};
}

CpuBudget::Decision CpuBudget::hold() {
    const uint64_t until_enough = time_to_earn(earned_in(kWindow / 2) - balance_);
    return {false, std::clamp(until_enough, kShortestLook, kIdleLook)};
}

}  // namespace banyan
