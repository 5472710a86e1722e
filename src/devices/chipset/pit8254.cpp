#include "devices/chipset/pit8254.hpp"

#include <limits>

#include "devices/chipset/pit8254_state.hpp"
#include "snapshot/state.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

constexpr uint16_t kCounter0 = 0x40;
constexpr uint16_t kControl = 0x43;
constexpr uint16_t kPort61 = 0x61;
constexpr std::array<PortRange, 2> kPitPorts{{{kCounter0, 4}, {kPort61, 1}}};

constexpr int64_t kMinInterruptPeriod =
    static_cast<int64_t>(Pit8254::kMinInterruptPeriodNs * Pit8254::kHz / kNsPerSecond);

// Read-back command (data sheet, figure 10); a bit that is 0 asks for the latch.
constexpr uint8_t kReadBackNoCount = 0x20;
constexpr uint8_t kReadBackNoStatus = 0x10;

// Port 61h (Intel 82371AB PIIX4 data sheet, "NMI status and control register").
constexpr uint8_t kGate2 = 0x01;
constexpr uint8_t kPort61Writable = 0x0F;  // gate, speaker data, parity and I/O check enables
constexpr uint8_t kRefreshToggle = 0x10;
constexpr uint8_t kOutput2 = 0x20;
constexpr int64_t kRefreshTicks = 18;  // 15 us, what PCs program counter 1 with

// 128 bits: the product overflows 64 bits after four hours. Exact, so that edges never drift.
__extension__ using Wide = unsigned __int128;

int64_t ticks_at(uint64_t ns) {
    return static_cast<int64_t>(Wide{ns} * Pit8254::kHz / kNsPerSecond);
}

// The first nanosecond of a tick.
uint64_t start_of(int64_t tick) {
    if (tick <= 0) return 0;
    const Wide ns =
        (Wide{static_cast<uint64_t>(tick)} * kNsPerSecond + Pit8254::kHz - 1) / Pit8254::kHz;
    constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
    return ns > kNever ? kNever : static_cast<uint64_t>(ns);
}

}  // namespace

Pit8254::Pit8254(const Wiring& wiring)
    : clock_(wiring.clock), irq0_(wiring.irq0), timer_(wiring.timers.create_timer(*this, 0)) {}

int64_t Pit8254::now() const {
    return ticks_at(clock_.now_ns());
}

std::span<const PortRange> Pit8254::port_ranges() const {
    return kPitPorts;
}

void Pit8254::reset() {
    state_ = {};
    earliest_edge_ = 0;
    timer_->cancel();
    irq0_.deassert();
}

IoStatus Pit8254::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    if (port == kPort61) {
        value = read_port61();
        return IoStatus::ok;
    }
    if (port >= kControl) return IoStatus::no_register;  // the control word cannot be read
    value = state_.counters[port - kCounter0].read(now());
    return IoStatus::ok;
}

IoStatus Pit8254::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    const auto byte = static_cast<uint8_t>(value);
    if (port == kPort61) {
        write_port61(byte);
    } else if (port == kControl) {
        write_control(byte);
    } else {
        state_.counters[port - kCounter0].write_count(byte, now());
        if (port == kCounter0) follow_output();
    }
    return IoStatus::ok;
}

uint8_t Pit8254::read_port61() {
    uint8_t value = state_.port61;
    if (((now() / kRefreshTicks) & 1) != 0) value |= kRefreshToggle;
    if (state_.counters[2].output(now())) value |= kOutput2;
    return value;
}

void Pit8254::write_port61(uint8_t value) {
    state_.port61 = value & kPort61Writable;
    state_.counters[2].set_gate((value & kGate2) != 0, now());
}

// Control word: SC in bits 7..6 (3: read-back), RW in bits 5..4 (0: latch the count).
void Pit8254::write_control(uint8_t value) {
    const unsigned select = value >> 6;
    if (select == 3) return read_back(value);
    PitCounter& counter = state_.counters[select];
    if ((value & 0x30U) == 0) return counter.latch_count(now());
    counter.write_control(value, now());
    if (select == 0) follow_output();
}

void Pit8254::read_back(uint8_t command) {
    for (unsigned i = 0; i < state_.counters.size(); ++i) {
        if (!has_bit(command, i + 1)) continue;
        if ((command & kReadBackNoCount) == 0) state_.counters[i].latch_count(now());
        if ((command & kReadBackNoStatus) == 0) state_.counters[i].latch_status(now());
    }
}

// After a write to counter 0.
void Pit8254::follow_output() {
    irq0_.set(state_.counters[0].output(now()));
    await_next_edge();
}

// Skips edges of a periodic mode that come too soon after the last interrupt; they keep their
// places on the time line.
void Pit8254::await_next_edge() {
    PitCounter& counter = state_.counters[0];
    state_.edge_tick = counter.next_rising_edge(now());
    const int64_t period = counter.period();
    const bool too_fast = period != 0 && period < kMinInterruptPeriod;
    if (state_.edge_tick && too_fast && *state_.edge_tick < earliest_edge_) {
        const int64_t missing = earliest_edge_ - *state_.edge_tick;
        *state_.edge_tick += (missing + period - 1) / period * period;
    }
    arm_timer();
}

void Pit8254::arm_timer() {
    if (state_.edge_tick) {
        timer_->arm(start_of(*state_.edge_tick));
    } else {
        timer_->cancel();
    }
}

// Edges that passed while the host was late become one.
void Pit8254::on_timer(unsigned /*cookie*/) {
    const int64_t tick = now();
    if (!state_.edge_tick) return;
    if (tick < *state_.edge_tick) return arm_timer();
    earliest_edge_ = tick + kMinInterruptPeriod;
    irq0_.deassert();
    irq0_.assert_line();
    follow_output();
}

void Pit8254::save(StateWriter& writer) const {
    Pit8254StateV1 saved;
    for (size_t i = 0; i < state_.counters.size(); ++i)
        state_.counters[i].save(saved.counters[i], now());
    saved.port61 = state_.port61;
    saved.edge_awaited = state_.edge_tick.has_value();
    saved.edge_tick = static_cast<uint64_t>(state_.edge_tick.value_or(0));
    writer.section(saved);
}

Result<void> Pit8254::restore(StateReader& reader) {
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> Pit8254::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<Pit8254StateV1>());
    bool valid =
        (saved.port61 & ~kPort61Writable) == 0 && saved.edge_tick <= uint64_t{PitCounter::kMaxTick};
    for (size_t i = 0; i < state_.counters.size(); ++i)
        valid &= state_.counters[i].restore(saved.counters[i]);
    if (!valid)
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'pit8254' is impossible");
    state_.port61 = saved.port61;
    earliest_edge_ = 0;
    irq0_.set(state_.counters[0].output(now()));
    state_.edge_tick =
        saved.edge_awaited ? std::optional(static_cast<int64_t>(saved.edge_tick)) : std::nullopt;
    arm_timer();
    return {};
}

}  // namespace banyan
