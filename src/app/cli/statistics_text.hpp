// Statistics for people. Rates are given for a million instructions of the guest: generated code
// does not count what goes the fast way, so that there are misses, but no hits to compare with.
#pragma once

#include <string>
#include <vector>

#include "vm/statistics.hpp"

namespace banyan {

// Of all vCPUs.
Statistics sum_of(const std::vector<Statistics>& vcpus);
// 0: it is not counted.
uint64_t value_of(const Statistics& statistics, std::string_view name);

// Lines, the first a heading.
std::vector<std::string> statistics_table(const Statistics& statistics);
// What happened between two states, in one line.
std::string statistics_line(const Statistics& before, const Statistics& after, double seconds);

}  // namespace banyan
