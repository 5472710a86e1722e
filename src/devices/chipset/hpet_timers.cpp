// Time, interrupts and saved state of Hpet; its registers are in hpet.cpp.
#include <algorithm>

#include "devices/chipset/hpet.hpp"
#include "devices/chipset/hpet_state.hpp"
#include "snapshot/state.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

constexpr uint64_t kMinPeriodTicks = Hpet::kMinInterruptPeriodNs / Hpet::kTickNs;
constexpr uint64_t kWrap32 = bit(32);
// 45 years: matches beyond are as good as never.
constexpr uint64_t kHorizonTicks = bit(57);
// Bounds of saved times, so that sums do not overflow.
constexpr uint64_t kMaxCounterNs = bit(61);
constexpr uint64_t kMaxMatchNs = bit(62);

}  // namespace

uint64_t Hpet::elapsed_ticks() const {
    const uint64_t now = clock_.now_ns();
    return now > state_.counter_ns ? (now - state_.counter_ns) / kTickNs : 0;
}

uint64_t Hpet::counter() const {
    return running() ? state_.counter + elapsed_ticks() : state_.counter;
}

// A match is when counter and comparator are equal: one that was passed comes again only when the
// counter has wrapped.
void Hpet::schedule(unsigned index) {
    Comparator& timer = state_.timers[index];
    const uint64_t distance = (timer.value - counter()) & timer.config.value_mask();
    timer.waiting = running() && distance < kHorizonTicks;
    if (timer.waiting) timer.match_ns = state_.counter_ns + (elapsed_ticks() + distance) * kTickNs;
    arm(index);
}

void Hpet::schedule_all() {
    for (unsigned i = 0; i < kTimers; ++i)
        schedule(i);
}

// Without an enabled interrupt nobody needs to know at once: the next access catches up.
void Hpet::arm(unsigned index) {
    const Comparator& timer = state_.timers[index];
    if (timer.waiting && timer.config.get<HpetTimerConfig::InterruptEnabled>()) {
        host_timers_[index]->arm(timer.match_ns);
    } else {
        host_timers_[index]->cancel();
    }
}

void Hpet::on_timer(unsigned cookie) {
    catch_up(cookie);
    arm(cookie);  // it may have come too early, or for a match that was moved
}

void Hpet::catch_up_all() {
    for (unsigned i = 0; i < kTimers; ++i)
        catch_up(i);
}

// What a match repeats after, in ticks: the period, or, of 32-bit one-shot timers, the wrap of the
// counter (section 2.3.9.2.1). 0: never.
uint64_t Hpet::repeat_ticks(const Comparator& timer) {
    if (is_periodic(timer)) return timer.period < kHorizonTicks ? timer.period : 0;
    return timer.config.get<HpetTimerConfig::Mode32>() ? kWrap32 : 0;
}

bool Hpet::is_periodic(const Comparator& timer) {
    return timer.config.get<HpetTimerConfig::Periodic>() && timer.period != 0;
}

// Matches that were missed make one interrupt.
void Hpet::catch_up(unsigned index) {
    Comparator& timer = state_.timers[index];
    const uint64_t now = clock_.now_ns();
    if (!timer.waiting || now < timer.match_ns) return;
    const uint64_t repeat = repeat_ticks(timer);
    timer.waiting = repeat != 0;
    if (timer.waiting) {
        const uint64_t missed = (now - timer.match_ns) / kTickNs / repeat;
        const uint64_t apart = std::max<uint64_t>(1, (kMinPeriodTicks + repeat - 1) / repeat);
        const uint64_t ticks = (missed + apart) * repeat;
        timer.match_ns += ticks * kTickNs;
        if (is_periodic(timer)) timer.value = (timer.value + ticks) & timer.config.value_mask();
    }
    fire(index);
    arm(index);
}

void Hpet::fire(unsigned index) {
    const Comparator& timer = state_.timers[index];
    const bool enabled = timer.config.get<HpetTimerConfig::InterruptEnabled>();
    if (timer.config.get<HpetTimerConfig::FsbEnabled>()) {  // messages are edges
        if (!enabled) return;
        msi_.send_msi({.address = timer.fsb_route >> 32,
                       .data = static_cast<uint32_t>(timer.fsb_route & mask(31, 0))});
    } else if (timer.config.get<HpetTimerConfig::Level>()) {
        state_.status |= bit<uint8_t>(index);
        update_lines();
    } else if (enabled) {
        set_line(index, true);
        set_line(index, false);
    }
}

bool Hpet::line_wanted(unsigned index) const {
    const HpetTimerConfig config = state_.timers[index].config;
    return running() && has_bit(state_.status, index) && config.get<HpetTimerConfig::Level>() &&
           config.get<HpetTimerConfig::InterruptEnabled>() &&
           !config.get<HpetTimerConfig::FsbEnabled>();
}

void Hpet::release_lines() {
    for (unsigned i = 0; i < kTimers; ++i) {
        if (line_high_[i]) set_line(i, false);
    }
}

void Hpet::update_lines() {
    for (unsigned i = 0; i < kTimers; ++i) {
        if (line_high_[i] != line_wanted(i)) set_line(i, line_wanted(i));
    }
}

// Section 2.3.5, LEG_RT_CNF: timers 0 and 1 drive IRQ0 and IRQ8 whatever their routes say.
void Hpet::set_line(unsigned index, bool asserted) {
    line_high_[index] = asserted;
    const unsigned route = state_.timers[index].config.get<HpetTimerConfig::Route>();
    if (state_.config.get<HpetGeneralConfig::LegacyReplacement>() && index < 2) {
        legacy_.set_irq(HpetLegacyRoute::kTimer0 + index, asserted);
    } else if (has_bit(routes_, route)) {
        ioapic_.set_irq(route, asserted);
    }
}

void Hpet::save(StateWriter& writer) const {
    HpetStateV1 saved{.config = state_.config.raw,
                      .status = state_.status,
                      .counter = state_.counter,
                      .counter_ns = state_.counter_ns,
                      .legacy_levels = legacy_.legacy_levels()};
    for (unsigned i = 0; i < kTimers; ++i) {
        const Comparator& timer = state_.timers[i];
        saved.timers[i] = {.config = timer.config.raw,
                           .comparator = timer.value,
                           .period = timer.period,
                           .fsb_route = timer.fsb_route,
                           .waiting = timer.waiting,
                           .match_ns = timer.match_ns};
    }
    writer.section(saved);
}

Result<void> Hpet::restore(StateReader& reader) {
    reset();
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

bool Hpet::valid(const HpetTimerStateV1& saved, bool running) const {
    const HpetTimerConfig config{saved.config};
    const unsigned route = config.get<HpetTimerConfig::Route>();
    return (saved.config & ~HpetTimerConfig::kWritable) == 0 &&
           (route == 0 || has_bit(routes_, route)) &&
           ((saved.comparator | saved.period) & ~config.value_mask()) == 0 &&
           saved.match_ns <= kMaxMatchNs && (running || !saved.waiting);
}

Result<void> Hpet::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<HpetStateV1>());
    const HpetGeneralConfig config{saved.config};
    const bool runs = config.get<HpetGeneralConfig::Enabled>();
    const bool all_valid =
        (saved.config & ~HpetGeneralConfig::kWritable) == 0 && saved.status >> kTimers == 0 &&
        saved.counter_ns <= kMaxCounterNs &&
        std::all_of(saved.timers.begin(), saved.timers.end(),
                    [&](const HpetTimerStateV1& timer) { return valid(timer, runs); });
    if (!all_valid) {
        return fail(ErrorCode::invalid_data, "load saved state: HPET registers are impossible");
    }
    state_.config = config;
    state_.status = saved.status;
    state_.counter = saved.counter;
    state_.counter_ns = saved.counter_ns;
    legacy_.restore(saved.legacy_levels, config.get<HpetGeneralConfig::LegacyReplacement>());
    for (unsigned i = 0; i < kTimers; ++i) {
        const HpetTimerStateV1& timer = saved.timers[i];
        state_.timers[i] = {.config = {timer.config},
                            .value = timer.comparator,
                            .period = timer.period,
                            .fsb_route = timer.fsb_route,
                            .waiting = timer.waiting,
                            .match_ns = timer.match_ns};
        arm(i);
    }
    update_lines();
    return {};
}

}  // namespace banyan
