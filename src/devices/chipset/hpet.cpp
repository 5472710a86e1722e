#include "devices/chipset/hpet.hpp"

#include "support/bits.hpp"

namespace banyan {

namespace {

// Section 2.3.4: revision 1, three timers, 64-bit counter, legacy replacement, Intel; the period of
// a tick in femtoseconds.
constexpr uint64_t kCapabilities = (Hpet::kTickNs * 1'000'000) << 32 | 0x8086U << 16 | bit(15) |
                                   bit(13) | (Hpet::kTimers - 1) << 8 | 0x01;
constexpr uint64_t kTimerCapabilities = bit(15) | bit(5) | bit(4);  // FSB, 64 bits, periodic

uint64_t merge(uint64_t old, uint64_t value, uint64_t written) {
    return (old & ~written) | (value & written);
}

}  // namespace

Hpet::Hpet(const Wiring& wiring)
    : routes_(wiring.routes),
      clock_(wiring.clock),
      ioapic_(wiring.ioapic),
      msi_(wiring.msi),
      legacy_(wiring.irq0, wiring.irq8) {
    for (unsigned i = 0; i < kTimers; ++i)
        host_timers_[i] = wiring.timers.create_timer(*this, i);
}

void Hpet::reset() {
    release_lines();
    state_ = State{};
    legacy_.replace(false);
    schedule_all();
}

// Registers are accessed with 32 or 64 bits, aligned (section 2.3.1).
IoStatus Hpet::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (size < 4 || !is_aligned(offset, uint64_t{size})) return IoStatus::bad_size;
    catch_up_all();
    value = read_register(align_down(offset, uint64_t{8})) >> (offset % 8 * 8);
    return IoStatus::ok;
}

IoStatus Hpet::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (size < 4 || !is_aligned(offset, uint64_t{size})) return IoStatus::bad_size;
    catch_up_all();
    const uint64_t shift = offset % 8 * 8;
    write_register(align_down(offset, uint64_t{8}), value << shift, size_mask(size) << shift);
    return IoStatus::ok;
}

// Reserved registers read as 0 (section 2.3.1).
uint64_t Hpet::read_register(uint64_t offset) const {
    switch (static_cast<HpetRegister>(offset)) {
        case HpetRegister::gcap_id: return kCapabilities;
        case HpetRegister::gen_conf: return state_.config.raw;
        case HpetRegister::gintr_sta: return state_.status;
        case HpetRegister::main_cnt: return counter();
        default: break;
    }
    constexpr auto kFirst = static_cast<uint64_t>(HpetRegister::first_timer);
    if (offset < kFirst || offset >= kFirst + kTimers * kHpetTimerStride) return 0;
    const uint64_t in_timers = offset - kFirst;
    return read_timer(static_cast<unsigned>(in_timers / kHpetTimerStride),
                      static_cast<HpetTimerRegister>(in_timers % kHpetTimerStride));
}

uint64_t Hpet::read_timer(unsigned index, HpetTimerRegister reg) const {
    const Comparator& timer = state_.timers[index];
    switch (reg) {
        case HpetTimerRegister::config:
            return uint64_t{routes_} << 32 | kTimerCapabilities | timer.config.raw;
        case HpetTimerRegister::comparator: return timer.value;
        case HpetTimerRegister::fsb_route: return timer.fsb_route;
        default: return 0;
    }
}

void Hpet::write_register(uint64_t offset, uint64_t value, uint64_t written) {
    switch (static_cast<HpetRegister>(offset)) {
        case HpetRegister::gen_conf:
            return write_general_config(merge(state_.config.raw, value, written));
        case HpetRegister::gintr_sta:
            state_.status &= static_cast<uint8_t>(~(value & written));
            return update_lines();
        case HpetRegister::main_cnt: return write_counter(merge(counter(), value, written));
        default: break;
    }
    constexpr auto kFirst = static_cast<uint64_t>(HpetRegister::first_timer);
    if (offset < kFirst || offset >= kFirst + kTimers * kHpetTimerStride) return;
    const uint64_t in_timers = offset - kFirst;
    write_timer(static_cast<unsigned>(in_timers / kHpetTimerStride),
                static_cast<HpetTimerRegister>(in_timers % kHpetTimerStride), value, written);
}

void Hpet::write_timer(unsigned index, HpetTimerRegister reg, uint64_t value, uint64_t written) {
    Comparator& timer = state_.timers[index];
    switch (reg) {
        case HpetTimerRegister::config:
            write_timer_config(index, merge(timer.config.raw, value, written));
            break;
        case HpetTimerRegister::comparator: write_comparator(index, value, written); break;
        case HpetTimerRegister::fsb_route:
            timer.fsb_route = merge(timer.fsb_route, value, written);
            break;
        default: break;
    }
}

// Halting keeps the counter where it is, and no timer interrupts (section 2.3.5).
void Hpet::write_general_config(uint64_t value) {
    const HpetGeneralConfig config{value & HpetGeneralConfig::kWritable};
    const bool toggled = config.get<HpetGeneralConfig::Enabled>() != running();
    release_lines();
    if (toggled) {
        state_.counter = counter();
        state_.counter_ns = clock_.now_ns();
    }
    state_.config = config;
    legacy_.replace(config.get<HpetGeneralConfig::LegacyReplacement>());
    update_lines();
    if (toggled) schedule_all();
}

void Hpet::write_counter(uint64_t value) {
    state_.counter = value;
    state_.counter_ns = clock_.now_ns();
    schedule_all();
}

// A route that the timer does not have is not taken: software reads back what it got
// (section 2.3.8, Tn_INT_ROUTE_CNF).
void Hpet::write_timer_config(unsigned index, uint64_t value) {
    Comparator& timer = state_.timers[index];
    const HpetTimerConfig old = timer.config;
    HpetTimerConfig config{value & HpetTimerConfig::kWritable};
    if (!has_bit(routes_, config.get<HpetTimerConfig::Route>()))
        config.set<HpetTimerConfig::Route>(old.get<HpetTimerConfig::Route>());
    release_lines();
    timer.config = config;
    if (!config.get<HpetTimerConfig::Level>())  // only levels have a status (section 2.3.6)
        state_.status &= static_cast<uint8_t>(~bit(index));
    update_lines();
    if (config.get<HpetTimerConfig::Mode32>() != old.get<HpetTimerConfig::Mode32>()) {
        timer.value &= config.value_mask();
        timer.period &= config.value_mask();
        schedule(index);
    }
    arm(index);
}

// Of a periodic timer, the value written last is the period; with Tn_VAL_SET_CNF, which holds for
// one write, it is the next match as well (section 2.3.9.2.2).
void Hpet::write_comparator(unsigned index, uint64_t value, uint64_t written) {
    Comparator& timer = state_.timers[index];
    const uint64_t usable = timer.config.value_mask();
    const bool periodic = timer.config.get<HpetTimerConfig::Periodic>();
    if (periodic) timer.period = merge(timer.period, value, written) & usable;
    if (!periodic || timer.config.get<HpetTimerConfig::SetValue>())
        timer.value = merge(timer.value, value, written) & usable;
    timer.config.set<HpetTimerConfig::SetValue>(false);
    schedule(index);
}

}  // namespace banyan
