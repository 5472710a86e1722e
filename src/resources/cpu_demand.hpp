// How much CPU time a VM would use, from how it did.
#pragma once

#include "resources/terms.hpp"

namespace banyan {

// Of all the VM's vCPUs together, between two looks. Nanoseconds.
struct CpuSample {
    uint64_t elapsed = 0;
    uint64_t used = 0;    // by the vCPUs' threads
    uint64_t waited = 0;  // of those threads for a CPU of the host
    uint64_t held = 0;    // while the throttle held the vCPUs; at most `elapsed`
};

struct CpuDemand {
    uint64_t used = 0;  // these three in microseconds a second
    uint64_t waited = 0;
    uint64_t demand = 0;
};

// `most`: of all its vCPUs, in microseconds a second. The demand has some room for a guest that
// wakes up, and falls to a half at most from one look to the next: a guest that sleeps between
// bursts is not forgotten at once.
CpuDemand estimate_demand(const CpuSample& sample, uint64_t most, const CpuDemand& before);

}  // namespace banyan
