// How threads of this process have spent their time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace banyan {

// Nanoseconds.
struct ThreadTimes {
    uint64_t used = 0;    // on a CPU
    uint64_t waited = 0;  // for a CPU, ready to run
};

// Of one thread, by the kernel's number of it. Zeros when there is none; `waited` is zero where the
// kernel does not count it. Reads a file.
ThreadTimes thread_times(int thread);

// The content of /proc/PID/task/TID/schedstat. Nothing: it is none.
std::optional<ThreadTimes> parse_schedstat(std::string_view text);

// What it has used alone, in one system call.
uint64_t thread_cpu_time(int thread);

}  // namespace banyan
