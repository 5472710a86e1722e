// DiskThrottle: how much a disk may do in a second.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace banyan {

// 0: as much as it can.
struct DiskRate {
    uint64_t per_second = 0;
    uint64_t burst = 0;  // at once, after a rest; 0: what a tenth of a second brings
};

// Each for all requests, for reads and for writes. Flushes are never held back; discards and
// zeroes are requests without bytes.
struct DiskLimits {
    enum Which : uint8_t { all, reads, writes };
    std::array<DiskRate, 3> requests = {};
    std::array<DiskRate, 3> bytes = {};

    bool any() const;
};

// Token buckets, kept as the time at which each would be full again: what is taken in advance moves
// it into the future, and a request's turn comes when that is not further away than a full bucket.
// By one thread at a time.
class DiskThrottle {
public:
    using Time = std::chrono::nanoseconds;  // since any moment

    explicit DiskThrottle(const DiskLimits& limits);

    // When the turn comes of a request that arrives at `now`: not before that of earlier ones of
    // its direction.
    Time turn(DiskLimits::Which direction, uint64_t bytes, Time now);

private:
    class Bucket {
    public:
        Bucket() = default;
        explicit Bucket(const DiskRate& rate);
        Time take(uint64_t count, Time now);

    private:
        double ns_each_ = 0;  // 0: no limit
        Time depth_{0};
        Time full_again_{0};
    };
    struct Pair {
        Bucket requests;
        Bucket bytes;
    };

    std::array<Pair, 3> buckets_;
};

}  // namespace banyan
