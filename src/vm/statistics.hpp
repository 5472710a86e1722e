// Figures about how something has run.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace banyan {

// Counted since the VM was made; it never falls. `name`: of static storage, lower case with
// underscores; it ends in the unit ("code_bytes") unless what is counted are the things that it
// names.
struct Statistic {
    std::string_view name;
    uint64_t value = 0;
};
using Statistics = std::vector<Statistic>;

}  // namespace banyan
