// HostClock: the guest's time from the host's CLOCK_MONOTONIC, and its TSC from the host's where
// that is good enough.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "host/linux/tsc.hpp"
#include "vm/clock.hpp"

namespace banyan {

class HostClock final : public Clock {
public:
    // Starts to run at 0. Without a host TSC the guest's counts nanoseconds of now_ns().
    explicit HostClock(std::optional<HostTsc> tsc);

    uint64_t now_ns() const override { return read().ns; }
    uint64_t wall_ns() const override;
    uint64_t tsc() const override { return read().tsc; }
    uint64_t tsc_hz() const override { return tsc_hz_; }
    std::optional<uint64_t> host_tsc_offset() const override;

    // Time stands still between pause() and resume(). By one thread, while no vCPU runs;
    // idempotent. Tell the timers (HostTimers::clock_changed()).
    void pause();
    void resume();
    bool running() const { return !paused_.load(std::memory_order_acquire); }

private:
    struct Now {
        uint64_t ns = 0;
        uint64_t tsc = 0;
    };
    Now read() const;
    Now read_running() const;

    // configuration
    const bool native_tsc_;
    const uint64_t tsc_hz_;

    // bookkeeping: while running, guest time = host time + offset (mod 2^64); while paused, the
    // offsets are the time itself. Readers repeat when version_ was odd or changed.
    std::atomic<uint32_t> version_{0};
    std::atomic<bool> paused_{true};
    std::atomic<uint64_t> ns_offset_{0};
    std::atomic<uint64_t> tsc_offset_{0};
};

}  // namespace banyan
