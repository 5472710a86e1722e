// ApicTimer: the timer of a local APIC (Intel SDM vol. 3, section 11.5.4): one-shot and periodic
// counting, or a deadline on the time stamp counter. It knows when it expires; what an expiry does
// is the local APIC's business.
//
// Not thread-safe; the local APIC holds its lock.
#pragma once

#include <cstdint>

#include "vm/clock.hpp"

namespace banyan {

struct LocalApicStateV1;

class ApicTimer {
public:
    // The values of the LVT entry's field. `reserved` behaves as one_shot, as on processors.
    enum class Mode : uint8_t { one_shot, periodic, tsc_deadline, reserved };

    // A periodic timer expires at most this often; a guest that programs less gets every n-th.
    static constexpr uint64_t kMinPeriodNs = 50'000;

    explicit ApicTimer(const Clock& clock) : clock_(clock) {}
    void connect(Timer& timer) { timer_ = &timer; }

    void reset();
    void save(LocalApicStateV1& state) const;
    bool restore(const LocalApicStateV1& state, Mode mode, bool masked);

    // True when the timer has expired since the last call. To be asked before any of the functions
    // below, so that a host timer that is late changes nothing.
    bool take_expiry();

    void configure(Mode mode, bool masked);
    uint32_t initial_count() const { return state_.initial_count; }
    uint32_t current_count() const;
    uint32_t divide() const { return state_.divide; }
    void write_initial_count(uint32_t count);
    void write_divide(uint32_t value);
    uint64_t deadline() const { return state_.deadline; }
    void write_deadline(uint64_t tsc);
    void set_tsc_offset(uint64_t offset);

    // Arms the host's timer for the next expiry that somebody wants to know of.
    void arm();

private:
    struct State {
        uint32_t initial_count = 0;
        uint32_t divide = 0;
        bool counting = false;
        uint64_t expiry_ns = 0;   // while counting
        uint64_t deadline = 0;    // guest TSC; 0: disarmed
        uint64_t tsc_offset = 0;  // guest TSC - Clock::tsc(); the engine's, so it outlives reset()
    };

    uint64_t divisor() const;
    uint64_t period_ns() const { return divisor() * state_.initial_count; }
    uint64_t guest_tsc() const { return clock_.tsc() + state_.tsc_offset; }
    bool counts() const { return mode_ != Mode::tsc_deadline; }
    void move_to_next_period(uint64_t now);
    uint64_t periods_between_expiries() const;
    uint64_t ns_to_deadline() const;

    // configuration: what the LVT entry says
    Mode mode_ = Mode::one_shot;
    bool masked_ = true;

    // wiring
    const Clock& clock_;
    Timer* timer_ = nullptr;

    // bookkeeping
    bool armed_ = false;

    // guest-visible state
    State state_;
};

}  // namespace banyan
