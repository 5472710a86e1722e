#include "devices/chipset/engine_apic.hpp"

#include <algorithm>
#include <cstdio>

#include "devices/chipset/local_apic_regs.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

constexpr unsigned kXapicIdShift = 24;  // of the id and LDR, in xAPIC mode

uint32_t& at(ApicRegisters& registers, ApicRegister which) {
    return registers.page[static_cast<size_t>(which)];
}

uint32_t at(const ApicRegisters& registers, ApicRegister which) {
    return registers.page[static_cast<size_t>(which)];
}

template <size_t kCount>
void copy_to_page(const std::array<uint32_t, kCount>& from, ApicRegisters& to, ApicRegister first) {
    std::copy(from.begin(), from.end(), to.page.begin() + static_cast<ptrdiff_t>(first));
}

template <size_t kCount>
void copy_from_page(const ApicRegisters& from, ApicRegister first,
                    std::array<uint32_t, kCount>& to) {
    std::copy_n(from.page.begin() + static_cast<ptrdiff_t>(first), kCount, to.begin());
}

bool is_x2apic(uint64_t base) {
    return ApicBase{base}.get<ApicBase::X2Apic>();
}

// Nanoseconds a count: Intel SDM 11.5.4, at kApicTimerHz.
uint64_t divisor(uint32_t divide) {
    const uint32_t code = bits(divide, 3, 3) << 2 | bits(divide, 1, 0);
    return code == 7 ? 1 : uint64_t{2} << code;
}

bool counts(const LocalApicStateV1& state) {
    return Lvt{state.lvt.front()}.get<Lvt::TimerMode>() != ApicTimer::Mode::tsc_deadline;
}

tl::unexpected<Error> impossible() {
    return fail(ErrorCode::invalid_data,
                "load saved state: local APIC registers are impossible; use another saved state");
}

}  // namespace

EngineApic::EngineApic(const Wiring& wiring)
    : index_(wiring.index), clock_(wiring.clock), apics_(wiring.apics) {
    const int length = std::snprintf(name_.data(), name_.size(), "local_apic%u", index_);
    name_length_ = static_cast<size_t>(length);
}

// An engine's vCPU always has its registers: that it does not would be a defect of ours.
ApicRegisters EngineApic::registers() const {
    const auto registers = apics_.get_apic(index_);
    BANYAN_ASSERT(registers.has_value());
    return *registers;
}

void EngineApic::set_registers(const ApicRegisters& registers) {
    BANYAN_ASSERT(apics_.set_apic(index_, registers).has_value());
}

// Intel SDM 11.4.7.1.
ApicRegisters EngineApic::power_on() const {
    ApicRegisters fresh;
    ApicBase base{ApicBase::kPowerOn};
    base.set<ApicBase::BootProcessor>(index_ == 0);
    fresh.base = base.raw;
    at(fresh, ApicRegister::id) = index_ << kXapicIdShift;
    at(fresh, ApicRegister::version) = kApicVersion;
    at(fresh, ApicRegister::dfr) = 0xFFFF'FFFF;
    at(fresh, ApicRegister::svr) = Svr::kPowerOn;
    std::array<uint32_t, kLvtCount> lvt;
    lvt.fill(Lvt::kPowerOn);
    copy_to_page(lvt, fresh, ApicRegister::lvt_timer);
    return fresh;
}

void EngineApic::reset() {
    set_registers(power_on());
}

// MultiProcessor Specification 1.4, section 3.6.2.1 and appendix A.
void EngineApic::set_virtual_wire_mode() {
    ApicRegisters now = registers();
    Lvt lint0{};
    lint0.set<Lvt::Mode>(DeliveryMode::ext_int);
    lint0.set<Lvt::Masked>(index_ != 0);
    Lvt lint1{};
    lint1.set<Lvt::Mode>(DeliveryMode::nmi);
    Svr svr{Svr::kPowerOn};
    svr.set<Svr::SoftwareEnabled>(true);
    at(now, ApicRegister::svr) = svr.raw;
    at(now, ApicRegister::lvt_lint0) = lint0.raw;
    at(now, ApicRegister::lvt_lint1) = lint1.raw;
    set_registers(now);
}

void EngineApic::save(StateWriter& writer) const {
    writer.section(to_state(registers()));
}

Result<void> EngineApic::restore(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<LocalApicStateV1>());
    if (!apics_.set_apic(index_, from_state(saved))) {
        reset();
        return impossible();
    }
    return {};
}

// The wires' levels are the board's, and the offset of the TSC is the vCPU's: not among it.
LocalApicStateV1 EngineApic::to_state(const ApicRegisters& now) const {
    LocalApicStateV1 state{.base = now.base,
                           .tpr = static_cast<uint8_t>(at(now, ApicRegister::tpr)),
                           .dfr = at(now, ApicRegister::dfr),
                           .svr = at(now, ApicRegister::svr) & Svr::kWritable,
                           .esr = static_cast<uint8_t>(at(now, ApicRegister::esr)),
                           .icr = uint64_t{at(now, ApicRegister::icr_high)} << 32 |
                                  (at(now, ApicRegister::icr_low) & Icr::kLowWritable),
                           .initial_count = at(now, ApicRegister::initial_count),
                           .divide = at(now, ApicRegister::divide) & kDivideWritable,
                           .tsc_deadline = now.tsc_deadline,
                           .pv_eoi = now.pv_eoi};
    if (!is_x2apic(now.base))
        state.ldr = static_cast<uint8_t>(at(now, ApicRegister::ldr) >> kXapicIdShift);
    copy_from_page(now, ApicRegister::lvt_timer, state.lvt);
    for (uint32_t& entry : state.lvt)
        entry &= Lvt::kSaved;
    copy_from_page(now, ApicRegister::irr, state.irr);
    copy_from_page(now, ApicRegister::isr, state.isr);
    copy_from_page(now, ApicRegister::tmr, state.tmr);
    const uint32_t left = at(now, ApicRegister::current_count);
    state.timer_counting = counts(state) && left != 0;
    if (state.timer_counting)
        state.timer_expiry_ns = clock_.now_ns() + left * divisor(state.divide);
    return state;
}

ApicRegisters EngineApic::from_state(const LocalApicStateV1& state) const {
    ApicRegisters to = power_on();
    to.base = state.base;
    to.tsc_deadline = state.tsc_deadline;
    to.pv_eoi = state.pv_eoi;
    const bool x2apic = is_x2apic(state.base);
    at(to, ApicRegister::id) = x2apic ? index_ : index_ << kXapicIdShift;
    // Intel SDM 11.12.10.2: the cluster, and a bit in it.
    at(to, ApicRegister::ldr) =
        x2apic ? (index_ >> 4) << 16 | 1U << (index_ & 0xF) : uint32_t{state.ldr} << kXapicIdShift;
    at(to, ApicRegister::tpr) = state.tpr;
    at(to, ApicRegister::dfr) = state.dfr;
    at(to, ApicRegister::svr) = state.svr;
    at(to, ApicRegister::esr) = state.esr;
    at(to, ApicRegister::icr_low) = static_cast<uint32_t>(state.icr);
    at(to, ApicRegister::icr_high) = static_cast<uint32_t>(state.icr >> 32);
    at(to, ApicRegister::initial_count) = state.initial_count;
    at(to, ApicRegister::current_count) = current_count(state);
    at(to, ApicRegister::divide) = state.divide;
    copy_to_page(state.lvt, to, ApicRegister::lvt_timer);
    copy_to_page(state.irr, to, ApicRegister::irr);
    copy_to_page(state.isr, to, ApicRegister::isr);
    copy_to_page(state.tmr, to, ApicRegister::tmr);
    return to;
}

// Rounded up: the count is 0 only when the timer does not run. One that is overdue expires at once.
uint32_t EngineApic::current_count(const LocalApicStateV1& state) const {
    if (!state.timer_counting) return 0;
    const uint64_t now = clock_.now_ns();
    if (now >= state.timer_expiry_ns) return 1;
    const uint64_t divide = divisor(state.divide);
    return static_cast<uint32_t>((state.timer_expiry_ns - now + divide - 1) / divide);
}

}  // namespace banyan
