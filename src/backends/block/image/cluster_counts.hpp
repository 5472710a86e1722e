// ClusterCounts: how often each cluster of a file is referred to, as a walk through it found.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace banyan {

// Takes memory for the parts of a file that are referred to, not for holes.
class ClusterCounts {
public:
    static constexpr uint64_t kPage = 512;          // clusters
    static constexpr size_t kMostPages = 1U << 19;  // 1 GiB in all

    uint32_t at(uint64_t cluster) const {
        const auto page = pages_.find(cluster / kPage);
        return page == pages_.end() ? 0 : (*page->second)[cluster % kPage];
    }
    // False when there are too many to count.
    bool increase(uint64_t cluster) {
        auto& page = pages_[cluster / kPage];
        if (page == nullptr) {
            if (pages_.size() > kMostPages) return false;
            page = std::make_unique<Page>();
        }
        uint32_t& count = (*page)[cluster % kPage];
        return ++count != 0;
    }
    // Calls each(cluster, count) with those that are not 0, in no order.
    template <class Each>
    void for_each(Each each) const {
        for (const auto& [number, page] : pages_) {
            for (uint64_t i = 0; i < kPage; ++i) {
                if ((*page)[i] != 0) each(number * kPage + i, (*page)[i]);
            }
        }
    }

private:
    using Page = std::array<uint32_t, kPage>;
    std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
};

}  // namespace banyan
