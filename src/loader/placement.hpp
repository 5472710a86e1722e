// Placement: which guest RAM is still free while a kernel is being loaded. Only RAM below 4 GiB:
// every boot protocol here starts below it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "loader/e820.hpp"

namespace banyan::loader {

class Placement {
public:
    // The first page is kept free: it holds the real-mode vectors and the BIOS data area, and
    // protocols read address 0 as "not there".
    explicit Placement(std::span<const E820Entry> memory_map);

    // Takes exactly this range. False when it is not all free RAM.
    [[nodiscard]] bool take(uint64_t start, uint64_t length);
    // Takes the lowest range at or above `from`, or the highest that ends at or below `end`.
    // Alignment: a power of two.
    std::optional<Gpa> take_lowest(uint64_t length, uint64_t alignment, uint64_t from);
    std::optional<Gpa> take_highest(uint64_t length, uint64_t alignment, uint64_t end);

    // Is it RAM that the guest may use, taken or not?
    bool is_ram(uint64_t start, uint64_t length) const;
    uint64_t ram_bytes() const;

private:
    struct Range {
        uint64_t start;
        uint64_t end;
    };
    std::vector<Range> ram_;
    std::vector<Range> free_;  // sorted, not touching
};

}  // namespace banyan::loader
