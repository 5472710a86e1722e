// Interrupts: acceptance, priorities, delivery to the vCPU, ends. The registers are in
// local_apic_registers.cpp, saved state in local_apic_state.cpp.
#include "devices/chipset/local_apic.hpp"

#include <cstdio>

#include "support/assert.hpp"

namespace banyan {

LocalApic::LocalApic(const Wiring& wiring)
    : id_(wiring.id),
      boot_processor_(wiring.boot_processor),
      base_reserved_(mask(63, wiring.physical_address_bits) | mask(9, 9) | mask(7, 0)),
      signals_(wiring.signals),
      bus_(wiring.bus),
      ext_int_(wiring.ext_int),
      host_timer_(wiring.timers.create_timer(*this, 0)),
      timer_(wiring.clock),
      pv_eoi_(wiring.memory) {
    BANYAN_ASSERT(wiring.physical_address_bits <= 52);
    const int length = std::snprintf(name_.data(), name_.size(), "local_apic%u", id_);
    name_length_ = static_cast<size_t>(length);
    {
        MutexLock lock(mutex_);
        timer_.connect(*host_timer_);
        reset_locked();
    }
    bus_.add(*this);
}

LocalApic::~LocalApic() {
    bus_.remove(*this);
}

void LocalApic::reset() {
    MutexLock lock(mutex_);
    reset_locked();
}

void LocalApic::reset_locked() {
    state_ = {};
    state_.base.raw = ApicBase::kPowerOn;
    state_.base.set<ApicBase::BootProcessor>(boot_processor_);
    init_registers();
    Outbox nobody;  // nothing is pending
    publish(nobody);
}

// Intel SDM 11.4.7.1 and 11.4.7.3. The paravirtual EOI goes with the kernel that asked for it, as
// in KVM.
void LocalApic::init_registers() {
    State fresh;
    fresh.base = state_.base;
    fresh.lint = state_.lint;
    state_ = fresh;
    state_.dfr = 0xFFFF'FFFF;
    state_.svr.raw = Svr::kPowerOn;
    for (Lvt& entry : state_.lvt)
        entry.raw = Lvt::kPowerOn;
    timer_.reset();
    pv_eoi_.reset();
}

void LocalApic::set_virtual_wire_mode() {
    Outbox out;
    {
        MutexLock lock(mutex_);
        state_.svr.raw = Svr::kPowerOn;
        state_.svr.set<Svr::SoftwareEnabled>(true);
        lvt(LvtIndex::lint0).set<Lvt::Mode>(DeliveryMode::ext_int);
        lvt(LvtIndex::lint0).set<Lvt::Masked>(!boot_processor_);
        lvt(LvtIndex::lint1).set<Lvt::Mode>(DeliveryMode::nmi);
        lvt(LvtIndex::lint1).set<Lvt::Masked>(false);
        publish(out);
    }
    send(out);
}

void LocalApic::send(const Outbox& out) {
    if (out.eoi) bus_.broadcast_eoi(*out.eoi);
    if (out.ipi) bus_.send(out.ipi->interrupt, out.ipi->destination);
    if (out.init) signals_.raise_init();
    if (out.start_up) signals_.raise_sipi(*out.start_up);
    if (out.nmi) signals_.raise_nmi();
    if (out.smi) signals_.raise_smi();
    if (out.interrupt) signals_.raise_interrupt();
}

void LocalApic::publish(Outbox& out) {
    const bool deliverable = ext_int_pending() || deliverable_vector() >= 0;
    if (deliverable && !deliverable_.load(std::memory_order_relaxed)) out.interrupt = true;
    deliverable_.store(deliverable, std::memory_order_release);

    ApicSummary summary;
    summary.set<ApicSummary::Enabled>(enabled());
    summary.set<ApicSummary::X2Apic>(x2apic());
    summary.set<ApicSummary::SoftwareEnabled>(state_.svr.get<Svr::SoftwareEnabled>());
    summary.set<ApicSummary::Flat>(state_.dfr >> 28 == 0xF);
    summary.set<ApicSummary::Priority>(ppr());
    summary.set<ApicSummary::LogicalId>(state_.ldr);
    summary_.store(summary.raw, std::memory_order_relaxed);

    const bool in_memory = enabled() && !x2apic();
    mmio_page_.store(in_memory ? state_.base.get<ApicBase::Base>() << kPageShift : kNoPage,
                     std::memory_order_relaxed);
}

void LocalApic::catch_up(Outbox& out) {
    catch_up_timer(out);
    catch_up_pv_eoi(out);
}

void LocalApic::catch_up_timer(Outbox& out) {
    if (timer_.take_expiry()) fire_local(LvtIndex::timer, out);
}

void LocalApic::catch_up_pv_eoi(Outbox& out) {
    if (pv_eoi_.offered() && pv_eoi_.take_back()) end_of_interrupt(out);
}

// Intel SDM 11.8.3.1.
uint8_t LocalApic::ppr() const {
    const int in_service = state_.isr.highest();
    if (in_service < 0 || state_.tpr >> 4 >= in_service >> 4) return state_.tpr;
    return static_cast<uint8_t>(in_service & 0xF0);
}

// While an end of interrupt is on offer, the guest may have ended the interrupt in service without
// a word: then only the TPR counts. acknowledge_interrupt() finds out, on the vCPU's thread.
int LocalApic::deliverable_vector() const {
    if (!enabled()) return -1;
    const int vector = state_.irr.highest();
    const uint8_t priority = pv_eoi_.offered() ? state_.tpr : ppr();
    return vector >> 4 > priority >> 4 ? vector : -1;
}

// LINT0 in ExtINT mode is a level; without an enabled APIC, LINT0 is the processor's INTR pin
// (Intel SDM 11.4.3).
bool LocalApic::ext_int_pending() const {
    if (ext_int_ == nullptr) return false;
    const Lvt& lint0 = lvt(LvtIndex::lint0);
    const bool listens = !enabled() || (!lint0.get<Lvt::Masked>() &&
                                        lint0.get<Lvt::Mode>() == DeliveryMode::ext_int);
    return state_.ext_int_message || (listens && state_.lint[kLint0]);
}

// An ExtINT interrupt is not subject to the processor priority (Intel SDM 11.8.4) and comes first.
std::optional<uint8_t> LocalApic::acknowledge_interrupt() {
    Outbox out;
    std::optional<uint8_t> vector;
    bool ext_int = false;
    {
        MutexLock lock(mutex_);
        catch_up(out);
        ext_int = ext_int_pending();
        state_.ext_int_message = false;
        if (!ext_int) vector = take_vector();
        publish(out);
    }
    if (ext_int) vector = acknowledge_ext_int(out);
    send(out);
    return vector;
}

// The 8259s' request may have gone away: then the APIC's own interrupts have their turn.
std::optional<uint8_t> LocalApic::acknowledge_ext_int(Outbox& out) {
    if (ext_int_->pending()) {
        if (const auto vector = ext_int_->acknowledge()) return vector;
    }
    MutexLock lock(mutex_);
    const auto vector = take_vector();
    publish(out);
    // A vCPU that gets nothing asks again only when it is told to.
    out.interrupt |= !vector && interrupt_pending();
    return vector;
}

std::optional<uint8_t> LocalApic::take_vector() {
    const int found = deliverable_vector();
    if (found < 0) return std::nullopt;
    const auto vector = static_cast<uint8_t>(found);
    state_.irr.clear(vector);
    state_.isr.set(vector);
    // Nobody may need to know of the end: neither an IO-APIC, nor an interrupt that waits for it.
    const bool alone = state_.isr.count() == 1 && state_.irr.highest() < 0;
    if (pv_eoi_.enabled() && alone && !state_.tmr.test(vector)) pv_eoi_.offer();
    return vector;
}

void LocalApic::accept(const ApicInterrupt& interrupt) {
    Outbox out;
    {
        MutexLock lock(mutex_);
        if (enabled()) receive(interrupt, out);
        publish(out);
    }
    send(out);
}

// Intel SDM 11.8.2. While disabled by software, only what does not go through the IRR
// (11.4.7.2). INIT resets the registers here, on the sender's thread: a vCPU that has not seen the
// signal yet runs on for a moment with an APIC that is as after INIT.
void LocalApic::receive(const ApicInterrupt& interrupt, Outbox& out) {
    switch (interrupt.mode) {
        case DeliveryMode::fixed:
        case DeliveryMode::lowest_priority:
            if (state_.svr.get<Svr::SoftwareEnabled>())
                request(interrupt.vector, interrupt.trigger, out);
            break;
        case DeliveryMode::smi: out.smi = true; break;
        case DeliveryMode::nmi: out.nmi = true; break;
        case DeliveryMode::init:
            init_registers();
            out.init = true;
            break;
        case DeliveryMode::start_up: out.start_up = interrupt.vector; break;
        case DeliveryMode::ext_int: state_.ext_int_message = ext_int_ != nullptr; break;
        case DeliveryMode::reserved: break;
    }
}

// Intel SDM 11.8.4: TMR follows each interrupt that is accepted.
void LocalApic::request(uint8_t vector, TriggerMode trigger, Outbox& out) {
    if (vector < kFirstApicVector) return report_error(kEsrReceivedIllegalVector, out);
    state_.irr.set(vector);
    if (trigger == TriggerMode::level) {
        state_.tmr.set(vector);
    } else {
        state_.tmr.clear(vector);
    }
}

// Intel SDM 11.5.3: a write to ESR arms the error interrupt again.
void LocalApic::report_error(uint8_t error, Outbox& out) {
    const bool armed = state_.errors == 0;
    state_.errors |= error;
    if (armed) fire_local(LvtIndex::error, out);
}

// An event of the local vector table that is an edge.
void LocalApic::fire_local(LvtIndex index, Outbox& out) {
    const Lvt entry = lvt(index);
    if (entry.get<Lvt::Masked>()) return;
    const auto mode = entry.get<Lvt::Mode>();  // 0, fixed, where an entry has no such field
    if (mode == DeliveryMode::start_up || mode == DeliveryMode::lowest_priority) return;
    receive({.mode = mode, .vector = entry.get<Lvt::Vector>()}, out);
}

void LocalApic::set_irq(unsigned input, bool asserted) {
    Outbox out;
    {
        MutexLock lock(mutex_);
        if (input >= state_.lint.size() || state_.lint[input] == asserted) return;
        state_.lint[input] = asserted;
        if (asserted) lint_asserted(input, out);
        publish(out);
    }
    send(out);
}

void LocalApic::lint_asserted(unsigned input, Outbox& out) {
    if (!enabled()) {  // LINT1 is the processor's NMI pin
        out.nmi |= input == kLint1;
    } else if (input == kLint1) {
        fire_local(LvtIndex::lint1, out);
    } else if (lint0_is_level()) {
        fire_level_lint0(out);
    } else if (lvt(LvtIndex::lint0).get<Lvt::Mode>() != DeliveryMode::ext_int) {
        fire_local(LvtIndex::lint0, out);
    }
}

// The trigger mode counts for fixed interrupts only, and not for LINT1 (Intel SDM 11.5.1).
bool LocalApic::lint0_is_level() const {
    const Lvt& lint0 = lvt(LvtIndex::lint0);
    return lint0.get<Lvt::Mode>() == DeliveryMode::fixed &&
           lint0.get<Lvt::Trigger>() == TriggerMode::level;
}

// Remote IRR holds the level back from its acceptance to its end.
void LocalApic::fire_level_lint0(Outbox& out) {
    Lvt& lint0 = lvt(LvtIndex::lint0);
    const bool wanted = enabled() && lint0_is_level() && state_.lint[kLint0];
    if (!wanted || lint0.get<Lvt::Masked>() || lint0.get<Lvt::RemoteIrr>()) return;
    const uint8_t vector = lint0.get<Lvt::Vector>();
    lint0.set<Lvt::RemoteIrr>(vector >= kFirstApicVector);
    request(vector, TriggerMode::level, out);
}

// Intel SDM 11.8.5.
void LocalApic::end_of_interrupt(Outbox& out) {
    const int ended = state_.isr.highest();
    if (ended < 0) return;
    const auto vector = static_cast<uint8_t>(ended);
    state_.isr.clear(vector);
    if (!state_.tmr.test(vector)) return;
    if (!state_.svr.get<Svr::SuppressEoiBroadcast>()) out.eoi = vector;
    Lvt& lint0 = lvt(LvtIndex::lint0);
    if (lint0.get<Lvt::RemoteIrr>() && lint0.get<Lvt::Vector>() == vector) {
        lint0.set<Lvt::RemoteIrr>(false);
        fire_level_lint0(out);
    }
}

// Intel SDM 11.6.1. An IPI is an edge, whatever the trigger bit says; that bit only tells the
// level de-assert of INIT, which means nothing on processors without an APIC bus.
void LocalApic::send_ipi(Outbox& out) {
    const Icr icr = state_.icr;
    const ApicInterrupt interrupt{.mode = icr.get<Icr::Mode>(), .vector = icr.get<Icr::Vector>()};
    const auto shorthand = icr.get<Icr::Shorthand>();
    switch (interrupt.mode) {
        case DeliveryMode::reserved:
        case DeliveryMode::ext_int: return;
        case DeliveryMode::init:
            if (icr.get<Icr::Trigger>() == TriggerMode::level && !icr.get<Icr::Assert>()) return;
            [[fallthrough]];
        case DeliveryMode::start_up:  // not to oneself: table 11-3
            if (shorthand == IcrShorthand::self || shorthand == IcrShorthand::all) return;
            break;
        case DeliveryMode::fixed:
        case DeliveryMode::lowest_priority:
            if (interrupt.vector < kFirstApicVector) report_error(kEsrSendIllegalVector, out);
            break;
        case DeliveryMode::smi:
        case DeliveryMode::nmi: break;
    }
    if (shorthand == IcrShorthand::self) return receive(interrupt, out);
    out.ipi = {.interrupt = interrupt, .destination = ipi_destination()};
}

ApicDestination LocalApic::ipi_destination() const {
    const Icr icr = state_.icr;
    ApicDestination destination{
        .kind = icr.get<Icr::LogicalDestination>() ? ApicDestination::Kind::logical
                                                   : ApicDestination::Kind::physical,
        .id = x2apic() ? icr.get<Icr::X2ApicDestination>() : icr.get<Icr::Destination>(),
        .x2apic = x2apic(),
        .lowest_priority = icr.get<Icr::Mode>() == DeliveryMode::lowest_priority};
    const auto shorthand = icr.get<Icr::Shorthand>();
    if (shorthand != IcrShorthand::none) destination.kind = ApicDestination::Kind::all;
    if (shorthand == IcrShorthand::all_but_self) destination.except = this;
    return destination;
}

void LocalApic::on_timer(unsigned /*cookie*/) {
    Outbox out;
    {
        MutexLock lock(mutex_);
        catch_up_timer(out);
        timer_.arm();  // it may have come too early, or for a deadline that was moved
        publish(out);
    }
    send(out);
}

}  // namespace banyan
