// What is known of a guest's memory through its balloon. Bytes, unless said otherwise.
#pragma once

#include <cstdint>
#include <optional>

namespace banyan {

struct BalloonStatistics {
    uint64_t target = 0;     // what the guest is asked to get along with
    uint64_t actual = 0;     // what it has: its RAM without what it put into the balloon
    uint64_t reclaimed = 0;  // what was given back to the host so far, by the balloon or by reports

    // As the guest told last; nothing for what it does not tell. Counts since its boot.
    std::optional<uint64_t> swapped_in;
    std::optional<uint64_t> swapped_out;
    std::optional<uint64_t> major_faults;  // a count
    std::optional<uint64_t> minor_faults;  // a count
    std::optional<uint64_t> free_memory;
    std::optional<uint64_t> total_memory;
    std::optional<uint64_t> available_memory;  // can be had without swapping
    std::optional<uint64_t> disk_caches;
    std::optional<uint64_t> huge_page_allocations;  // a count
    std::optional<uint64_t> huge_page_failures;     // a count
};

}  // namespace banyan
