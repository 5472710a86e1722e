// The host's time stamp counter: whether it can serve as the guest's, and how fast it runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <x86intrin.h>

namespace banyan {

struct HostTsc {
    uint64_t hz = 0;
    std::string_view source;  // how the frequency is known
};

inline uint64_t read_host_tsc() {
    return __rdtsc();
}

// Nothing when the counter stops, changes its pace or differs between CPUs. May take 10 ms, for
// measuring.
std::optional<HostTsc> find_host_tsc();

}  // namespace banyan
