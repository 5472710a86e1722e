// TokenBucket: lets a rate through, and bursts up to a size.
#pragma once

#include <algorithm>
#include <cstdint>

namespace banyan {

class TokenBucket {
public:
    // `per_second` 0: no limit; at most kMostPerSecond.
    static constexpr uint64_t kMostPerSecond = uint64_t{1} << 40;
    TokenBucket(uint64_t per_second, uint64_t burst)
        : per_second_(per_second), burst_(burst), tokens_(burst) {}

    // False: too few are left, and none is taken. `now_ns` never runs backwards.
    bool take(uint64_t count, uint64_t now_ns) {
        if (per_second_ == 0) return true;
        refill(now_ns);
        if (tokens_ < count) return false;
        tokens_ -= count;
        return true;
    }

private:
    static constexpr uint64_t kSecond = 1'000'000'000;
    static constexpr uint64_t kMicroseconds = 1'000'000;  // of a second

    // Whole tokens only: the time that is left over counts at the next refill.
    void refill(uint64_t now_ns) {
        if (now_ns - last_ns_ >= kSecond) {
            tokens_ = std::min(burst_, tokens_ + per_second_);
            last_ns_ = now_ns;
            return;
        }
        const uint64_t passed_us = (now_ns - last_ns_) / 1000;
        const uint64_t gained = passed_us * per_second_ / kMicroseconds;
        tokens_ = std::min(burst_, tokens_ + gained);
        last_ns_ += gained * kMicroseconds / per_second_ * 1000;
    }

    uint64_t per_second_;
    uint64_t burst_;
    uint64_t tokens_;
    uint64_t last_ns_ = 0;
};

}  // namespace banyan
