#include "host/linux/thread_times.hpp"

#include <array>
#include <charconv>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "host/posix/unique_fd.hpp"

namespace banyan {

// Linux's Documentation/scheduler/sched-stats.rst: time on a CPU, time on a run queue, time slices.
std::optional<ThreadTimes> parse_schedstat(std::string_view text) {
    ThreadTimes times;
    const char* end = text.data() + text.size();
    const auto used = std::from_chars(text.data(), end, times.used);
    if (used.ec != std::errc{} || used.ptr == end || *used.ptr != ' ') return std::nullopt;
    const auto waited = std::from_chars(used.ptr + 1, end, times.waited);
    if (waited.ec != std::errc{}) return std::nullopt;
    return times;
}

ThreadTimes thread_times(int thread) {
    const UniqueFd file(
        ::open(fmt::format("/proc/self/task/{}/schedstat", thread).c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 128> text{};
    const ssize_t length = file.valid() ? ::read(file.get(), text.data(), text.size()) : -1;
    if (length > 0) {
        const auto times = parse_schedstat({text.data(), static_cast<size_t>(length)});
        if (times) return *times;
    }
    return {.used = thread_cpu_time(thread)};
}

// The clock's number is what pthread_getcpuclockid(3) makes of a thread's: its complement, and
// below it "of a thread" (4) and "scheduler's time" (2) (Linux's
// include/linux/posix-timers_types.h).
uint64_t thread_cpu_time(int thread) {
    constexpr unsigned kThreadClock = 4 | 2;
    const auto clock = static_cast<clockid_t>((~static_cast<unsigned>(thread) << 3) | kThreadClock);
    timespec time{};
    if (thread <= 0 || ::clock_gettime(clock, &time) != 0) return 0;
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace banyan
