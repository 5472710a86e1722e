#include "devices/chipset/cmos_rtc.hpp"

#include <algorithm>
#include <limits>

#include "devices/chipset/cmos_rtc_regs.hpp"
#include "devices/chipset/cmos_rtc_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"

namespace banyan {

using namespace rtc;

namespace {

constexpr uint16_t kCmosIndexPort = 0x70;
constexpr uint16_t kCmosDataPort = 0x71;
constexpr PortRange kCmosPorts{kCmosIndexPort, 2};

constexpr uint64_t kDividerHz = 32768;
// Data sheet, "Update cycle": UIP goes high 244 us before an update that takes 1984 us; the time
// changes at its end.
constexpr uint64_t kUpdateNs = 244'000 + 1'984'000;
// "Register A": the first update comes half a second after the divider is released.
constexpr uint32_t kPhaseAfterRelease = 500'000'000;
constexpr uint64_t kNoDeadline = std::numeric_limits<uint64_t>::max();
// Saved seconds beyond year 36000 or so are refused.
constexpr int64_t kMaxSeconds = int64_t{1} << 40;

constexpr unsigned kTimeRegisterCount = CmosTimeRegisters::kCount;

// Which time register an index names, or kCount.
unsigned time_register(uint8_t index) {
    switch (index) {
        case SECONDS: return CmosTimeRegisters::kSeconds;
        case MINUTES: return CmosTimeRegisters::kMinutes;
        case HOURS: return CmosTimeRegisters::kHours;
        case DAY_OF_WEEK: return CmosTimeRegisters::kWeekday;
        case DAY_OF_MONTH: return CmosTimeRegisters::kDay;
        case MONTH: return CmosTimeRegisters::kMonth;
        case YEAR: return CmosTimeRegisters::kYear;
        case CENTURY: return CmosTimeRegisters::kCentury;
        default: return kTimeRegisterCount;
    }
}

}  // namespace

CmosRtc::CmosRtc(const Wiring& wiring)
    : clock_(wiring.clock), irq_(wiring.irq8), timer_(wiring.timers.create_timer(*this, 0)) {
    state_.seen_second = time().seconds;
    state_.seen_tick = ticks();
}

void CmosRtc::set_byte(uint8_t index, uint8_t value) {
    BANYAN_ASSERT(index >= FIRST_MEMORY && index < kBytes && index != CENTURY);
    state_.memory[index] = value;
}

std::span<const PortRange> CmosRtc::port_ranges() const {
    return {&kCmosPorts, 1};
}

// Data sheet, "RESET": interrupts are off and flags cleared; what the battery holds stays.
void CmosRtc::reset() {
    state_.index = 0;
    state_.b &= static_cast<uint8_t>(~(b::PIE | b::AIE | b::UIE | b::SQWE));
    state_.flags = 0;
    timer_->cancel();
    irq_.deassert();
}

bool CmosRtc::divider_runs() const {
    return (state_.a & a::DV) == a::kDivider32kHz;
}

bool CmosRtc::updates_run() const {
    return divider_runs() && (state_.b & b::SET) == 0;
}

CmosTimeFormat CmosRtc::format() const {
    return {.binary = (state_.b & b::DM) != 0, .hours24 = (state_.b & b::HOURS_24) != 0};
}

// Periods of the divider's input since the machine was started; in two parts, because the product
// overflows.
uint64_t CmosRtc::ticks() const {
    const uint64_t now = clock_.now_ns();
    return now / kNsPerSecond * kDividerHz + now % kNsPerSecond * kDividerHz / kNsPerSecond;
}

// Table "Periodic interrupt rate": 2 to 8192 a second; rates 1 and 2 repeat 8 and 9. 0 is off.
uint64_t CmosRtc::periodic_ticks() const {
    const unsigned rate = state_.a & a::RS;
    if (rate == 0) return 0;
    return uint64_t{1} << ((rate <= 2 ? rate + 7 : rate) - 1);
}

CmosRtc::Time CmosRtc::time() const {
    const uint64_t wall = clock_.wall_ns();
    const uint64_t sum = wall % kNsPerSecond + state_.phase_ns;
    const auto seconds = static_cast<int64_t>(wall / kNsPerSecond + sum / kNsPerSecond);
    return {seconds + state_.second_shift, static_cast<uint32_t>(sum % kNsPerSecond)};
}

CmosTimeRegisters CmosRtc::time_registers() const {
    if (!updates_run()) return state_.halted;
    return format().from_seconds(time().seconds, state_.weekday_shift);
}

// The divider's phase stays: the next update comes when it would have come.
void CmosRtc::set_time(const CmosTimeRegisters& registers) {
    state_.second_shift += format().to_seconds(registers) - time().seconds;
    state_.weekday_shift = format().weekday_shift(registers);
    state_.seen_second = time().seconds;
}

IoStatus CmosRtc::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    if (port != kCmosDataPort) return IoStatus::no_register;  // the index cannot be read
    value = read_register(state_.index);
    return IoStatus::ok;
}

IoStatus CmosRtc::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    if (port == kCmosIndexPort) {
        state_.index = static_cast<uint8_t>(value & kIndexMask);
    } else {
        write_register(state_.index, static_cast<uint8_t>(value));
    }
    return IoStatus::ok;
}

uint8_t CmosRtc::read_register(uint8_t index) {
    if (const unsigned which = time_register(index); which != kTimeRegisterCount)
        return time_registers().raw[which];
    switch (index) {
        case SECONDS_ALARM: return state_.alarm.second;
        case MINUTES_ALARM: return state_.alarm.minute;
        case HOURS_ALARM: return state_.alarm.hour;
        case REGISTER_A: return read_a();
        case REGISTER_B: return state_.b;
        case REGISTER_C: return read_c();
        case REGISTER_D: return kValidRamAndTime;
        default: return state_.memory[index];
    }
}

void CmosRtc::write_register(uint8_t index, uint8_t value) {
    update_flags();
    if (const unsigned which = time_register(index); which != kTimeRegisterCount) {
        write_time(which, value);
    } else {
        switch (index) {
            case SECONDS_ALARM: state_.alarm.second = value; break;
            case MINUTES_ALARM: state_.alarm.minute = value; break;
            case HOURS_ALARM: state_.alarm.hour = value; break;
            case REGISTER_A: write_a(value); break;
            case REGISTER_B: write_b(value); break;
            case REGISTER_C:
            case REGISTER_D: break;  // read only
            default: state_.memory[index] = value; break;
        }
    }
    update_irq();
    arm_timer();
}

void CmosRtc::write_time(unsigned which, uint8_t value) {
    CmosTimeRegisters registers = time_registers();
    registers.raw[which] = value;
    if (updates_run()) {
        set_time(registers);
    } else {
        state_.halted = registers;
    }
}

uint8_t CmosRtc::read_a() const {
    const bool update = updates_run() && time().ns >= kNsPerSecond - kUpdateNs;
    return static_cast<uint8_t>(state_.a | (update ? a::UIP : 0));
}

void CmosRtc::write_a(uint8_t value) {
    const CmosTimeRegisters registers = time_registers();
    const bool divider_ran = divider_runs();
    const bool updates_ran = updates_run();
    state_.a = value & static_cast<uint8_t>(~a::UIP);
    if (!divider_ran && divider_runs()) {
        const uint64_t wall = clock_.wall_ns() % kNsPerSecond;
        state_.phase_ns =
            static_cast<uint32_t>((kNsPerSecond + kPhaseAfterRelease - wall) % kNsPerSecond);
    }
    halt_or_go_on(registers, updates_ran);
}

// "Register B": SET halts updates, lets the program write the time, and clears UIE.
void CmosRtc::write_b(uint8_t value) {
    const CmosTimeRegisters registers = time_registers();
    const bool updates_ran = updates_run();
    if ((value & b::SET) != 0) value &= static_cast<uint8_t>(~b::UIE);
    state_.b = value;
    halt_or_go_on(registers, updates_ran);
}

// After a change of the divider or of SET: the time stands still as it was, or goes on from the
// registers.
void CmosRtc::halt_or_go_on(const CmosTimeRegisters& registers, bool updates_ran) {
    if (!updates_run()) {
        state_.halted = registers;
    } else if (!updates_ran) {
        set_time(registers);
    }
}

// "Register C": reading clears the flags and takes the interrupt back.
uint8_t CmosRtc::read_c() {
    update_flags();
    uint8_t value = state_.flags;
    if ((state_.flags & state_.b) != 0) value |= c::IRQF;
    state_.flags = 0;
    update_irq();
    arm_timer();
    return value;
}

// Sets the flags of what has happened since the last time. They are set whether enabled or not.
void CmosRtc::update_flags() {
    const uint64_t tick = ticks();
    const uint64_t period = periodic_ticks();
    if (period != 0 && divider_runs() && tick / period != state_.seen_tick / period)
        state_.flags |= c::PF;
    state_.seen_tick = tick;
    if (updates_run()) update_calendar_flags();
}

void CmosRtc::update_calendar_flags() {
    const int64_t now = time().seconds;
    if (now == state_.seen_second) return;
    state_.flags |= c::UF;
    // The wall clock may be set back; then only the present second counts.
    const int64_t since = now > state_.seen_second ? state_.seen_second : now - 1;
    if (state_.alarm.seconds_until(since, format()) <= static_cast<uint64_t>(now - since))
        state_.flags |= c::AF;
    state_.seen_second = now;
}

void CmosRtc::update_irq() {
    irq_.set((state_.flags & state_.b & c::kFlags) != 0);
}

// Only for flags that are enabled and not yet set: a fast periodic interrupt costs nothing until
// the guest takes it.
uint64_t CmosRtc::ns_until_next_event() const {
    const auto awaited = static_cast<uint8_t>(state_.b & ~state_.flags);
    uint64_t ns = kNoDeadline;
    const uint64_t period = periodic_ticks();
    if ((awaited & b::PIE) != 0 && period != 0 && divider_runs()) {
        const uint64_t next = (ticks() / period + 1) * period;
        const uint64_t at = next / kDividerHz * kNsPerSecond +
                            (next % kDividerHz * kNsPerSecond + kDividerHz - 1) / kDividerHz;
        ns = at - clock_.now_ns();
    }
    if ((awaited & (b::UIE | b::AIE)) == 0 || !updates_run()) return ns;
    const Time now = time();
    uint64_t seconds = 1;
    if ((awaited & b::UIE) == 0) seconds = state_.alarm.seconds_until(now.seconds, format());
    if (seconds == CmosAlarm::kNever) return ns;
    return std::min(ns, seconds * kNsPerSecond - now.ns);
}

void CmosRtc::arm_timer() {
    const uint64_t ns = ns_until_next_event();
    if (ns == kNoDeadline) {
        timer_->cancel();
    } else {
        timer_->arm(clock_.now_ns() + ns);
    }
}

void CmosRtc::on_timer(unsigned /*cookie*/) {
    update_flags();
    update_irq();
    arm_timer();
}

void CmosRtc::save(StateWriter& writer) const {
    CmosRtcStateV1 saved;
    saved.index = state_.index;
    saved.a = state_.a;
    saved.b = state_.b;
    saved.flags = state_.flags;
    saved.alarm = {state_.alarm.second, state_.alarm.minute, state_.alarm.hour};
    saved.halted = state_.halted.raw;
    saved.weekday_shift = static_cast<uint8_t>(state_.weekday_shift);
    saved.second_shift = static_cast<uint64_t>(state_.second_shift);
    saved.phase_ns = state_.phase_ns;
    saved.seen_second = static_cast<uint64_t>(state_.seen_second);
    saved.seen_tick = state_.seen_tick;
    saved.memory = state_.memory;
    writer.section(saved);
}

Result<void> CmosRtc::restore(StateReader& reader) {
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

namespace {

bool valid_seconds(uint64_t raw) {
    const auto seconds = static_cast<int64_t>(raw);
    return seconds > -kMaxSeconds && seconds < kMaxSeconds;
}

bool valid(const CmosRtcStateV1& s) {
    return s.index <= kIndexMask && (s.a & a::UIP) == 0 && (s.flags & ~c::kFlags) == 0 &&
           s.weekday_shift < 7 && s.phase_ns < kNsPerSecond && valid_seconds(s.second_shift) &&
           valid_seconds(s.seen_second);
}

}  // namespace

Result<void> CmosRtc::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<CmosRtcStateV1>());
    if (!valid(saved))
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'cmos_rtc' is impossible");
    state_.index = saved.index;
    state_.a = saved.a;
    state_.b = saved.b;
    state_.flags = saved.flags;
    state_.alarm = {.second = saved.alarm[0], .minute = saved.alarm[1], .hour = saved.alarm[2]};
    state_.halted.raw = saved.halted;
    state_.weekday_shift = saved.weekday_shift;
    state_.second_shift = static_cast<int64_t>(saved.second_shift);
    state_.phase_ns = saved.phase_ns;
    state_.seen_second = static_cast<int64_t>(saved.seen_second);
    state_.seen_tick = saved.seen_tick;
    state_.memory = saved.memory;
    update_irq();
    arm_timer();
    return {};
}

}  // namespace banyan
