// The guest's time, and timers on it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

namespace banyan {

inline constexpr uint64_t kNsPerSecond = 1'000'000'000;

// Guest time: starts at 0 when the VM is made, stands still while it is paused. From any thread.
class Clock {
public:
    virtual ~Clock() = default;
    virtual uint64_t now_ns() const = 0;
    // Calendar time, nanoseconds since 1970-01-01 UTC, for the CMOS clock and kvmclock.
    virtual uint64_t wall_ns() const = 0;
    // The time stamp counter of a guest whose TSC offset is 0, and its frequency.
    virtual uint64_t tsc() const = 0;
    virtual uint64_t tsc_hz() const = 0;
    // tsc() minus the host's own counter, where the two run at one pace: an engine may then use
    // RDTSC itself. It changes when time is paused and resumed, which happens only while no vCPU
    // runs.
    virtual std::optional<uint64_t> host_tsc_offset() const { return std::nullopt; }
};

class TimerClient {
public:
    // The deadline given to arm() has passed; `cookie` is the one of create_timer(). Called with
    // the device's lock held. May come once more after cancel() or a later arm(): clients compare
    // their own deadline with the clock.
    virtual void on_timer(unsigned cookie) = 0;

protected:
    ~TimerClient() = default;
};

// One shot. A new arm() replaces the old deadline. Both may be called from any thread.
class Timer {
public:
    virtual ~Timer() = default;
    virtual void arm(uint64_t deadline_ns) = 0;
    virtual void cancel() = 0;
};

class TimerService {
public:
    virtual ~TimerService() = default;
    virtual std::unique_ptr<Timer> create_timer(TimerClient& client, unsigned cookie) = 0;
};

}  // namespace banyan
