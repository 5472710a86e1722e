#include "host/linux/host_clock.hpp"

#include <time.h>

namespace banyan {

namespace {

uint64_t clock_ns(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

HostClock::HostClock(std::optional<HostTsc> tsc)
    : native_tsc_(tsc.has_value()), tsc_hz_(tsc ? tsc->hz : kNsPerSecond) {
    resume();
}

uint64_t HostClock::wall_ns() const {
    return clock_ns(CLOCK_REALTIME);
}

// The loads that follow the first are ordered by their acquire; so the last one sees a version that
// is not older than the values.
HostClock::Now HostClock::read() const {
    for (;;) {
        const uint32_t version = version_.load(std::memory_order_acquire);
        Now now = paused_.load(std::memory_order_acquire) ? Now{} : read_running();
        now.ns += ns_offset_.load(std::memory_order_acquire);
        now.tsc += tsc_offset_.load(std::memory_order_acquire);
        if ((version & 1) == 0 && version_.load(std::memory_order_relaxed) == version) return now;
    }
}

HostClock::Now HostClock::read_running() const {
    const uint64_t ns = clock_ns(CLOCK_MONOTONIC);
    return {ns, native_tsc_ ? read_host_tsc() : ns};
}

std::optional<uint64_t> HostClock::host_tsc_offset() const {
    if (!native_tsc_) return std::nullopt;
    return tsc_offset_.load(std::memory_order_acquire);
}

void HostClock::pause() {
    if (!running()) return;
    const Now now = read();
    version_.fetch_add(1, std::memory_order_acq_rel);
    paused_.store(true, std::memory_order_release);
    ns_offset_.store(now.ns, std::memory_order_release);
    tsc_offset_.store(now.tsc, std::memory_order_release);
    version_.fetch_add(1, std::memory_order_release);
}

void HostClock::resume() {
    if (running()) return;
    const Now guest = read();
    const Now host = read_running();
    version_.fetch_add(1, std::memory_order_acq_rel);
    paused_.store(false, std::memory_order_release);
    ns_offset_.store(guest.ns - host.ns, std::memory_order_release);
    tsc_offset_.store(guest.tsc - host.tsc, std::memory_order_release);
    version_.fetch_add(1, std::memory_order_release);
}

}  // namespace banyan
