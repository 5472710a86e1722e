#include "devices/chipset/local_apic_timer.hpp"

#include <algorithm>

#include "devices/chipset/local_apic_regs.hpp"
#include "devices/chipset/local_apic_state.hpp"
#include "support/bits.hpp"
#include "vm/engine.hpp"

namespace banyan {

namespace {

static_assert(kApicTimerHz == 1'000'000'000, "a tick is taken to be a nanosecond");

// 146 years: later deadlines are looked at again then.
constexpr uint64_t kHorizonNs = bit(62);

}  // namespace

// The TSC offset stays: the engine changes it when the vCPU's TSC changes.
void ApicTimer::reset() {
    state_ = {.tsc_offset = state_.tsc_offset};
    configure(Mode::one_shot, true);
}

void ApicTimer::save(LocalApicStateV1& state) const {
    state.initial_count = state_.initial_count;
    state.divide = state_.divide;
    state.timer_counting = state_.counting;
    state.timer_expiry_ns = state_.expiry_ns;
    state.tsc_deadline = state_.deadline;
    state.tsc_offset = state_.tsc_offset;
}

bool ApicTimer::restore(const LocalApicStateV1& state, Mode mode, bool masked) {
    if ((state.divide & ~kDivideWritable) != 0 || state.timer_expiry_ns > kHorizonNs) return false;
    if (state.timer_counting && (state.initial_count == 0 || mode == Mode::tsc_deadline))
        return false;
    state_ = {.initial_count = state.initial_count,
              .divide = state.divide,
              .counting = state.timer_counting,
              .expiry_ns = state.timer_expiry_ns,
              .deadline = state.tsc_deadline,
              .tsc_offset = state.tsc_offset};
    mode_ = mode;
    masked_ = masked;
    arm();
    return true;
}

bool ApicTimer::take_expiry() {
    if (!counts()) {
        if (state_.deadline == 0 || guest_tsc() < state_.deadline) return false;
        state_.deadline = 0;
        return true;
    }
    const uint64_t now = clock_.now_ns();
    if (!state_.counting || now < state_.expiry_ns) return false;
    if (mode_ == Mode::periodic) {
        move_to_next_period(now);
    } else {
        state_.counting = false;
    }
    arm();
    return true;
}

// Periods that were missed make one expiry. The next is a whole number of periods after the last,
// so the guest's phase is kept.
void ApicTimer::move_to_next_period(uint64_t now) {
    const uint64_t period = period_ns();
    const uint64_t missed = (now - state_.expiry_ns) / period;
    state_.expiry_ns += (missed + periods_between_expiries()) * period;
}

uint64_t ApicTimer::periods_between_expiries() const {
    return std::max<uint64_t>(1, (kMinPeriodNs + period_ns() - 1) / period_ns());
}

// A change between counting and TSC-deadline mode disarms the timer (Intel SDM 11.5.4.1); between
// one-shot and periodic, the count goes on.
void ApicTimer::configure(Mode mode, bool masked) {
    if ((mode == Mode::tsc_deadline) != (mode_ == Mode::tsc_deadline)) {
        state_.initial_count = 0;
        state_.counting = false;
        state_.deadline = 0;
    }
    mode_ = mode;
    masked_ = masked;
    arm();
}

uint64_t ApicTimer::divisor() const {
    const uint32_t code = bits(state_.divide, 3, 3) << 2 | bits(state_.divide, 1, 0);
    return code == 7 ? 1 : uint64_t{2} << code;
}

// Rounded up: the count is 0 only when the timer has expired.
uint32_t ApicTimer::current_count() const {
    const uint64_t now = clock_.now_ns();
    if (!state_.counting || now >= state_.expiry_ns) return 0;
    const uint64_t in_period = (state_.expiry_ns - now - 1) % period_ns() + 1;
    return static_cast<uint32_t>((in_period + divisor() - 1) / divisor());
}

void ApicTimer::write_initial_count(uint32_t count) {
    if (!counts()) return;  // Intel SDM 11.5.4.1
    state_.initial_count = count;
    state_.counting = count != 0;
    if (state_.counting) {
        const uint64_t periods = mode_ == Mode::periodic ? periods_between_expiries() : 1;
        state_.expiry_ns = clock_.now_ns() + periods * period_ns();
    }
    arm();
}

// The count goes on from where it is, at the new speed.
void ApicTimer::write_divide(uint32_t value) {
    const uint64_t count = current_count();
    state_.divide = value & kDivideWritable;
    if (state_.counting) state_.expiry_ns = clock_.now_ns() + count * divisor();
    arm();
}

void ApicTimer::write_deadline(uint64_t tsc) {
    if (counts()) return;  // Intel SDM 11.5.4.1
    state_.deadline = tsc;
    arm();
}

void ApicTimer::set_tsc_offset(uint64_t offset) {
    state_.tsc_offset = offset;
    arm();
}

// Rounded up, so that the deadline has passed when the host's timer fires.
uint64_t ApicTimer::ns_to_deadline() const {
    __extension__ using Wide = unsigned __int128;
    const uint64_t tsc = guest_tsc();
    if (tsc >= state_.deadline) return 0;
    const uint64_t hz = clock_.tsc_hz();
    const Wide ns = (Wide{state_.deadline - tsc} * 1'000'000'000 + hz - 1) / hz;
    return ns < kHorizonNs ? static_cast<uint64_t>(ns) : kHorizonNs;
}

void ApicTimer::arm() {
    const bool running = counts() ? state_.counting : state_.deadline != 0;
    if (running && !masked_) {
        timer_->arm(counts() ? state_.expiry_ns : clock_.now_ns() + ns_to_deadline());
        armed_ = true;
    } else if (armed_) {
        timer_->cancel();
        armed_ = false;
    }
}

}  // namespace banyan
