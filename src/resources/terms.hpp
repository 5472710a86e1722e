// The terms under which a pool or a VM gets a resource. Amounts are of one unit for a whole tree:
// microseconds of CPU time a second for CPUs (1'000'000 is one CPU), bytes for memory.
#pragma once

#include <cstdint>

namespace banyan {

inline constexpr uint64_t kUnlimited = UINT64_MAX;
inline constexpr uint64_t kUsualShares = 1000;
inline constexpr uint64_t kMostShares = 1'000'000;
inline constexpr uint64_t kOneCpu = 1'000'000;

struct ResourceTerms {
    uint64_t shares = kUsualShares;  // 1 to kMostShares: the weight among siblings that want more
    uint64_t reservation = 0;        // what it gets, if it wants it, whatever others want
    uint64_t limit = kUnlimited;     // what it never gets more than

    bool operator==(const ResourceTerms&) const = default;
};

}  // namespace banyan
