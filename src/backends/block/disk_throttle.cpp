#include "backends/block/disk_throttle.hpp"

#include <algorithm>

namespace banyan {

namespace {

constexpr double kNsPerSecond = 1e9;
constexpr uint64_t kBurstsPerSecond = 10;

DiskThrottle::Time in_ns(double ns) {
    constexpr double kMost = 1e18;  // 30 years
    return DiskThrottle::Time(static_cast<int64_t>(std::min(ns, kMost)));
}

bool is_set(const DiskRate& rate) {
    return rate.per_second != 0;
}

}  // namespace

bool DiskLimits::any() const {
    return std::any_of(requests.begin(), requests.end(), is_set) ||
           std::any_of(bytes.begin(), bytes.end(), is_set);
}

DiskThrottle::Bucket::Bucket(const DiskRate& rate) {
    if (!is_set(rate)) return;
    ns_each_ = kNsPerSecond / static_cast<double>(rate.per_second);
    const uint64_t burst = rate.burst != 0 ? rate.burst : rate.per_second / kBurstsPerSecond;
    depth_ = in_ns(ns_each_ * static_cast<double>(burst));
}

DiskThrottle::Time DiskThrottle::Bucket::take(uint64_t count, Time now) {
    if (ns_each_ == 0) return now;
    full_again_ = std::max(full_again_, now);
    const Time turn = std::max(now, full_again_ - depth_);
    full_again_ += in_ns(ns_each_ * static_cast<double>(count));
    return turn;
}

DiskThrottle::DiskThrottle(const DiskLimits& limits) {
    for (size_t i = 0; i < buckets_.size(); ++i)
        buckets_[i] = {Bucket(limits.requests[i]), Bucket(limits.bytes[i])};
}

DiskThrottle::Time DiskThrottle::turn(DiskLimits::Which direction, uint64_t bytes, Time now) {
    Time turn = now;
    for (const auto which : {DiskLimits::all, direction}) {
        turn = std::max(turn, buckets_[which].requests.take(1, now));
        turn = std::max(turn, buckets_[which].bytes.take(bytes, now));
    }
    return turn;
}

}  // namespace banyan
