#include "backends/block/image/cluster_set.hpp"

#include <algorithm>
#include <numeric>

namespace banyan {

bool ClusterSet::add(uint64_t first, uint64_t count) {
    const MutexLock lock(mutex_);
    const auto place = std::lower_bound(clusters_.begin(), clusters_.end(), first);
    if (place != clusters_.end() && *place < first + count) return false;
    const auto added = clusters_.insert(place, count, 0);
    std::iota(added, added + static_cast<std::ptrdiff_t>(count), first);
    return true;
}

bool ClusterSet::add_all(const std::vector<uint64_t>& clusters) {
    const MutexLock lock(mutex_);
    clusters_.insert(clusters_.end(), clusters.begin(), clusters.end());
    std::sort(clusters_.begin(), clusters_.end());
    return std::adjacent_find(clusters_.begin(), clusters_.end()) == clusters_.end();
}

void ClusterSet::remove(uint64_t first, uint64_t count) {
    const MutexLock lock(mutex_);
    clusters_.erase(std::lower_bound(clusters_.begin(), clusters_.end(), first),
                    std::lower_bound(clusters_.begin(), clusters_.end(), first + count));
}

bool ClusterSet::meets(uint64_t first, uint64_t count) const {
    const MutexLock lock(mutex_);
    const auto place = std::lower_bound(clusters_.begin(), clusters_.end(), first);
    return place != clusters_.end() && *place < first + count;
}

}  // namespace banyan
