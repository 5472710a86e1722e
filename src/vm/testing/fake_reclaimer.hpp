// A MemoryReclaimer for tests: zeroes what it takes, and remembers the ranges.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "support/bits.hpp"
#include "vm/guest_memory.hpp"
#include "vm/memory_reclaimer.hpp"

namespace banyan {

class FakeReclaimer final : public MemoryReclaimer {
public:
    explicit FakeReclaimer(GuestMemory& memory) : memory_(memory) {}

    bool discard(Gpa start, uint64_t length) override {
        if (!is_aligned(start.value, kPageSize) || !is_aligned(length, kPageSize)) return false;
        const auto bytes = memory_.writable_range(start, length);
        if (bytes.empty()) return false;
        std::fill(bytes.begin(), bytes.end(), std::byte{0});
        memory_.written(start, length);
        taken.emplace_back(start, length);
        return true;
    }

    std::vector<std::pair<Gpa, uint64_t>> taken;

private:
    GuestMemory& memory_;
};

}  // namespace banyan
