// RateBucket: when bytes may pass, so that no more than a rate do for long.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace banyan {

// A token bucket, kept as the time at which it would be full again. A frame passes when the bucket
// is not empty, and what it takes beyond is owed: so a frame of any size passes some time. By one
// thread at a time.
class RateBucket {
public:
    using Time = std::chrono::nanoseconds;  // since any moment

    // 0: no limit. What a tenth of a second brings may pass at once
    // after a rest.
    explicit RateBucket(uint64_t bytes_per_second)
        : ns_each_(bytes_per_second == 0 ? 0 : 1e9 / static_cast<double>(bytes_per_second)) {}

    // False: not yet, and none is taken.
    bool take(uint64_t bytes, Time now) {
        if (!turn_has_come(now)) return false;
        full_again_ = std::max(full_again_, now) + cost(bytes);
        return true;
    }
    void give_back(uint64_t bytes) { full_again_ -= cost(bytes); }
    // When the next may pass.
    Time turn() const { return full_again_ - kDepth; }

private:
    static constexpr Time kDepth = std::chrono::milliseconds(100);

    bool turn_has_come(Time now) const { return full_again_ - now < kDepth; }
    Time cost(uint64_t bytes) const {
        return Time(static_cast<int64_t>(static_cast<double>(bytes) * ns_each_));
    }

    double ns_each_;
    Time full_again_{0};
};

}  // namespace banyan
