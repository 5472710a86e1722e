#include "devices/chipset/pit8254_counter.hpp"

#include <algorithm>

#include "devices/chipset/pit8254_state.hpp"

namespace banyan {

namespace {

constexpr uint8_t kStatusOutput = 0x80;
constexpr uint8_t kStatusNullCount = 0x40;

}  // namespace

int64_t PitCounter::elapsed(int64_t now) const {
    if (!state_.loaded) return 0;
    if (state_.stopped) return state_.elapsed;
    return std::max<int64_t>(now - state_.start, 0);
}

// Ticks since the current cycle of a periodic mode began.
uint32_t PitCounter::phase(int64_t now) const {
    return static_cast<uint32_t>(elapsed(now) % cycle(state_.count));
}

// "A count of 0 is equivalent to 2^16 for binary counting and 10^4 for BCD counting". Digits above
// 9 are undefined; they are taken by their weight.
uint32_t PitCounter::decode(uint16_t written) const {
    uint32_t value = written;
    if (state_.bcd) {
        value = 0;
        for (int digit = 3; digit >= 0; --digit)
            value = value * 10 + (static_cast<uint32_t>(written) >> (4 * digit) & 0xFU);
        value %= modulus();
    }
    return value == 0 ? modulus() : value;
}

uint16_t PitCounter::encode(uint32_t value) const {
    value %= modulus();
    if (!state_.bcd) return static_cast<uint16_t>(value);
    uint32_t digits = 0;
    for (unsigned shift = 0; shift < 16; shift += 4, value /= 10)
        digits |= (value % 10) << shift;
    return static_cast<uint16_t>(digits);
}

// Section "Mode definitions": modes 2 and 3 reload at the end of the cycle, the others wrap around
// and go on. Mode 3 counts by two in each half, from an odd count less one.
uint16_t PitCounter::counting_element(int64_t now) const {
    const uint32_t period = cycle(state_.count);
    switch (state_.mode) {
        case Mode::rate_generator: return encode(period - phase(now));
        case Mode::square_wave: {
            const uint32_t high = high_ticks(state_.count);
            const uint32_t at = phase(now);
            return encode((period & ~1U) - 2 * (at < high ? at : at - high));
        }
        default: {
            const auto counted = static_cast<uint32_t>(elapsed(now) % modulus());
            return encode(state_.count + modulus() - counted);
        }
    }
}

// A count that was written during a cycle of a periodic mode takes over at its end; in mode 3 at
// the end of the half, so that the other half is already that of the new count.
void PitCounter::settle(int64_t now) {
    if (!periodic() || !state_.next_count || state_.stopped || now < state_.switch_tick) return;
    const bool falls = state_.mode == Mode::square_wave && phase(state_.switch_tick) != 0;
    state_.count = *state_.next_count;
    state_.next_count.reset();
    state_.start = state_.switch_tick - (falls ? high_ticks(state_.count) : 0);
}

// A count reaches the counting element with the next tick. The gate holds counting off in modes 0,
// 2, 3 and 4.
void PitCounter::load(uint32_t count, int64_t now) {
    state_.count = count;
    state_.next_count.reset();
    state_.loaded = true;
    state_.start = now + 1;
    state_.elapsed = 0;
    state_.stopped = !state_.gate && !triggered_by_gate();
}

void PitCounter::stop(int64_t now) {
    state_.elapsed = elapsed(now);
    state_.stopped = state_.loaded;
}

void PitCounter::write_control(uint8_t control, int64_t now) {
    settle(now);
    const uint8_t mode = (control >> 1) & 7U;
    state_.mode =
        static_cast<Mode>(mode > 5 ? mode - 4 : mode);  // bit 2 of modes 2 and 3 is "don't care"
    state_.access = static_cast<Access>((control >> 4) & 3U);
    state_.bcd = (control & 1U) != 0;
    state_.count = std::min(state_.count, modulus());
    state_.write_high_next = false;
    state_.read_high_next = false;
    state_.count_latch.reset();
    state_.status_latch.reset();
    state_.next_count.reset();
    state_.loaded = false;
    state_.stopped = false;
}

void PitCounter::write_count(uint8_t value, int64_t now) {
    settle(now);
    switch (state_.access) {
        case Access::low: return count_written(decode(value), now);
        case Access::high: return count_written(decode(static_cast<uint16_t>(value << 8)), now);
        case Access::both: break;
    }
    state_.write_high_next = !state_.write_high_next;
    if (state_.write_high_next) {
        state_.low_byte = value;
        // Mode 0: "writing the first byte disables counting; OUT is set low immediately".
        if (state_.mode == Mode::interrupt_on_terminal_count) stop(now);
        return;
    }
    count_written(decode(static_cast<uint16_t>(state_.low_byte | (value << 8))), now);
}

void PitCounter::count_written(uint32_t count, int64_t now) {
    if (triggered_by_gate()) {
        state_.next_count = count;
        return;
    }
    if (!periodic() || !state_.loaded) return load(count, now);
    if (!state_.next_count && !state_.stopped) {
        const uint32_t high = high_ticks(state_.count);
        const bool in_first_half = state_.mode == Mode::square_wave && phase(now) < high;
        const uint32_t left = (in_first_half ? high : cycle(state_.count)) - phase(now);
        state_.switch_tick = std::max(now, state_.start) + left;
    }
    state_.next_count = count;
}

// "Gate": modes 0 and 4 pause while it is low; 2 and 3 stop, and begin anew when it rises; 1 and 5
// are triggered by its rising edge.
void PitCounter::set_gate(bool gate, int64_t now) {
    settle(now);
    const bool rises = gate && !state_.gate;
    const bool falls = !gate && state_.gate;
    state_.gate = gate;
    if (triggered_by_gate()) {
        if (rises && (state_.loaded || state_.next_count))
            load(state_.next_count.value_or(state_.count), now);
    } else if (state_.loaded && falls) {
        stop(now);
    } else if (state_.loaded && rises && periodic()) {
        load(state_.next_count.value_or(state_.count), now);
    } else if (state_.loaded && rises && !state_.write_high_next) {
        state_.start = now - state_.elapsed;
        state_.stopped = false;
    }
}

bool PitCounter::output(int64_t now) {
    settle(now);
    const int64_t count = state_.count;
    switch (state_.mode) {
        case Mode::interrupt_on_terminal_count:
            return state_.loaded && !state_.write_high_next && elapsed(now) >= count;
        case Mode::hardware_one_shot: return !running(now) || elapsed(now) >= count;
        case Mode::rate_generator: return !running(now) || phase(now) != cycle(state_.count) - 1;
        case Mode::square_wave: return !running(now) || phase(now) < high_ticks(state_.count);
        case Mode::software_strobe:
        case Mode::hardware_strobe: break;
    }
    return !running(now) || elapsed(now) != count;
}

std::optional<int64_t> PitCounter::next_rising_edge(int64_t now) {
    settle(now);
    if (!state_.loaded || state_.stopped) return std::nullopt;
    if (periodic()) {
        const int64_t length = cycle(state_.count);
        const int64_t edge = state_.start + (elapsed(now) / length + 1) * length;
        if (!state_.next_count || state_.switch_tick >= edge) return edge;
        // Mode 3, a new count from the falling edge on: the low half is that of the new count.
        return state_.switch_tick + cycle(*state_.next_count) - high_ticks(*state_.next_count);
    }
    const bool strobe =
        state_.mode == Mode::software_strobe || state_.mode == Mode::hardware_strobe;
    const int64_t edge = state_.start + state_.count + (strobe ? 1 : 0);
    return now < edge ? std::optional(edge) : std::nullopt;
}

// One byte of a count, the low one first when both are to be read.
uint8_t PitCounter::pick_byte(uint16_t value) {
    if (state_.access == Access::both) state_.read_high_next = !state_.read_high_next;
    const bool low =
        state_.access == Access::low || (state_.access == Access::both && state_.read_high_next);
    return static_cast<uint8_t>(low ? value : value >> 8);
}

// A latched status is read before a latched count, that before the running count.
uint8_t PitCounter::read(int64_t now) {
    settle(now);
    if (state_.status_latch) {
        const uint8_t status = *state_.status_latch;
        state_.status_latch.reset();
        return status;
    }
    if (!state_.count_latch) return pick_byte(counting_element(now));
    const uint8_t byte = pick_byte(*state_.count_latch);
    if (!state_.read_high_next) state_.count_latch.reset();
    return byte;
}

// "If a counter is latched and then, some time later, latched again before the count is read, the
// second command is ignored."
void PitCounter::latch_count(int64_t now) {
    settle(now);
    if (!state_.count_latch) state_.count_latch = counting_element(now);
}

void PitCounter::latch_status(int64_t now) {
    if (state_.status_latch) return;
    auto status =
        static_cast<uint8_t>((static_cast<unsigned>(state_.access) << 4) |
                             (static_cast<unsigned>(state_.mode) << 1) | (state_.bcd ? 1U : 0U));
    if (output(now)) status |= kStatusOutput;
    if (!state_.loaded || state_.next_count || (!state_.stopped && now < state_.start))
        status |= kStatusNullCount;
    state_.status_latch = status;
}

// A count that is due is saved as taken over: what is loaded again is then what was saved.
void PitCounter::save(PitCounterStateV1& saved, int64_t now) const {
    PitCounter settled = *this;
    settled.settle(now);
    settled.write_to(saved);
}

void PitCounter::write_to(PitCounterStateV1& saved) const {
    saved.mode = static_cast<uint8_t>(state_.mode);
    saved.access = static_cast<uint8_t>(state_.access);
    saved.bcd = state_.bcd;
    saved.gate = state_.gate;
    saved.write_high_next = state_.write_high_next;
    saved.read_high_next = state_.read_high_next;
    saved.low_byte = state_.low_byte;
    saved.count_latched = state_.count_latch.has_value();
    saved.count_latch = state_.count_latch.value_or(0);
    saved.status_latched = state_.status_latch.has_value();
    saved.status_latch = state_.status_latch.value_or(0);
    saved.loaded = state_.loaded;
    saved.stopped = state_.stopped;
    saved.count = state_.count;
    saved.next_count = state_.next_count.value_or(0);
    saved.switch_tick = static_cast<uint64_t>(state_.switch_tick);
    saved.start = static_cast<uint64_t>(state_.start);
    saved.elapsed = static_cast<uint64_t>(state_.elapsed);
}

bool PitCounter::restore(const PitCounterStateV1& saved) {
    const auto valid_tick = [](uint64_t tick) {
        const auto value = static_cast<int64_t>(tick);
        return value >= kMinTick && value <= kMaxTick;
    };
    const uint32_t limit = saved.bcd ? 10000 : 0x10000;
    if (saved.mode > 5 || saved.access < 1 || saved.access > 3 || saved.count < 1 ||
        saved.count > limit || saved.next_count > limit || !valid_tick(saved.switch_tick) ||
        !valid_tick(saved.start) || !valid_tick(saved.elapsed) ||
        static_cast<int64_t>(saved.elapsed) < 0) {
        return false;
    }
    state_.mode = static_cast<Mode>(saved.mode);
    state_.access = static_cast<Access>(saved.access);
    state_.bcd = saved.bcd;
    state_.gate = saved.gate;
    state_.write_high_next = saved.write_high_next;
    state_.read_high_next = saved.read_high_next;
    state_.low_byte = saved.low_byte;
    state_.count_latch = saved.count_latched ? std::optional(saved.count_latch) : std::nullopt;
    state_.status_latch = saved.status_latched ? std::optional(saved.status_latch) : std::nullopt;
    state_.loaded = saved.loaded;
    state_.stopped = saved.stopped;
    state_.count = saved.count;
    state_.next_count = saved.next_count != 0 ? std::optional(saved.next_count) : std::nullopt;
    state_.switch_tick = static_cast<int64_t>(saved.switch_tick);
    state_.start = static_cast<int64_t>(saved.start);
    state_.elapsed = static_cast<int64_t>(saved.elapsed);
    return true;
}

}  // namespace banyan
