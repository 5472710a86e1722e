// What a stretch of code allocates and locks: recorder.cpp stands in for malloc() and the thread
// library's locks in this program.
#pragma once

#include <array>
#include <cstddef>

namespace banyan::exit_path {

struct Record {
    size_t allocations = 0;
    size_t locked = 0;  // how often, all locks together
    // Which locks; the first so many of them.
    std::array<const void*, 64> locks{};
    size_t lock_count = 0;

    bool has(const void* lock) const;
    // Locks that both have taken.
    size_t common(const Record& other) const;
};

// Of the calling thread, between the two; not nested.
void start_recording();
Record stop_recording();

}  // namespace banyan::exit_path
