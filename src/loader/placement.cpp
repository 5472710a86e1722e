#include "loader/placement.hpp"

#include <algorithm>

#include "support/bits.hpp"

namespace banyan::loader {

Placement::Placement(std::span<const E820Entry> memory_map) {
    constexpr uint64_t kFourGiB = 1ULL << 32;
    for (const E820Entry& entry : memory_map) {
        const uint64_t start = entry.start.value;
        if (entry.type != E820Type::ram || start >= kFourGiB) continue;
        const uint64_t end = start + std::min(entry.length, kFourGiB - start);
        const uint64_t usable = std::max(start, kPageSize);
        if (usable < end) ram_.push_back({usable, end});
    }
    free_ = ram_;
}

bool Placement::take(uint64_t start, uint64_t length) {
    for (size_t i = 0; i < free_.size(); ++i) {
        const Range range = free_[i];
        if (start < range.start || start >= range.end || length > range.end - start) continue;
        const Range before{range.start, start};
        const Range after{start + length, range.end};
        free_.erase(free_.begin() + static_cast<ptrdiff_t>(i));
        if (after.start < after.end) free_.insert(free_.begin() + static_cast<ptrdiff_t>(i), after);
        if (before.start < before.end)
            free_.insert(free_.begin() + static_cast<ptrdiff_t>(i), before);
        return true;
    }
    return false;
}

std::optional<Gpa> Placement::take_lowest(uint64_t length, uint64_t alignment, uint64_t from) {
    for (const Range& range : free_) {
        const uint64_t start = align_up(std::max(range.start, from), alignment);
        if (start < range.end && length <= range.end - start && take(start, length))
            return Gpa{start};
    }
    return std::nullopt;
}

std::optional<Gpa> Placement::take_highest(uint64_t length, uint64_t alignment, uint64_t end) {
    for (size_t i = free_.size(); i-- > 0;) {
        const Range range = free_[i];
        const uint64_t top = std::min(range.end, end);
        if (top < length) continue;
        const uint64_t start = align_down(top - length, alignment);
        if (start >= range.start && take(start, length)) return Gpa{start};
    }
    return std::nullopt;
}

bool Placement::is_ram(uint64_t start, uint64_t length) const {
    return std::any_of(ram_.begin(), ram_.end(), [&](const Range& range) {
        return start >= range.start && start < range.end && length <= range.end - start;
    });
}

uint64_t Placement::ram_bytes() const {
    uint64_t sum = 0;
    for (const Range& range : ram_)
        sum += range.end - range.start;
    return sum;
}

}  // namespace banyan::loader
