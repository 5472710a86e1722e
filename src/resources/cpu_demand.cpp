#include "resources/cpu_demand.hpp"

#include <algorithm>

namespace banyan {

namespace {

double a_second(uint64_t part, const CpuSample& sample) {
    return static_cast<double>(part) / static_cast<double>(std::max<uint64_t>(sample.elapsed, 1)) *
           static_cast<double>(kOneCpu);
}

}  // namespace

CpuDemand estimate_demand(const CpuSample& sample, uint64_t most, const CpuDemand& before) {
    constexpr double kRoom = 1.25;
    constexpr double kWakeUp = 0.05 * static_cast<double>(kOneCpu);
    constexpr double kLeastFree = 0.005;
    CpuDemand now;
    now.used = static_cast<uint64_t>(a_second(sample.used, sample));
    now.waited = static_cast<uint64_t>(a_second(sample.waited, sample));
    // What it wanted while it was free, it wanted while it was held.
    const double free = 1 - a_second(sample.held, sample) / static_cast<double>(kOneCpu);
    const double wanted =
        a_second(sample.used + sample.waited, sample) / std::max(free, kLeastFree);
    const double demand = std::min(wanted * kRoom + kWakeUp, static_cast<double>(most));
    now.demand = std::min(std::max(static_cast<uint64_t>(demand), before.demand / 2), most);
    return now;
}

}  // namespace banyan
