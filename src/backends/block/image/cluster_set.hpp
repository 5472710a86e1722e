// ClusterSet: which clusters of a file hold metadata.
#pragma once

#include <cstdint>
#include <vector>

#include "support/mutex.hpp"

namespace banyan {

// Numbers of clusters, sorted. Nearly all are added in ascending order. From any thread.
class ClusterSet {
public:
    // False when one of them is there already.
    bool add(uint64_t first, uint64_t count);
    // In any order.
    bool add_all(const std::vector<uint64_t>& clusters);
    void remove(uint64_t first, uint64_t count);
    bool meets(uint64_t first, uint64_t count) const;

private:
    mutable Mutex mutex_;
    std::vector<uint64_t> clusters_ GUARDED_BY(mutex_);
};

}  // namespace banyan
