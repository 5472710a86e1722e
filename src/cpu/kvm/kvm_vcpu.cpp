#include "cpu/kvm/kvm_vcpu.hpp"

#include <cerrno>

#include "arch/x86/register_state.hpp"
#include "cpu/kvm/kvm_msrs.hpp"
#include "cpu/kvm/kvm_registers.hpp"
#include "support/assert.hpp"
#include "support/log.hpp"

namespace banyan::kvm {

KvmVcpu::KvmVcpu(std::unique_ptr<KvmVcpuHandle> handle, const VcpuWiring& wiring,
                 KvmMachine& machine, EoiListener& eoi)
    : handle_(std::move(handle)),
      run_(handle_->run_page()),
      wiring_(wiring),
      machine_(machine),
      kick_(run_),
      exits_({run_, *wiring.io, eoi}),
      finisher_(*handle_, wiring, machine.interpreter),
      debug_(*handle_) {}

// An access that the guest has left KVM_RUN for is completed by the next one, even if that returns
// at once (KVM API 5, note on KVM_EXIT_IO): so the only way out of here leads through KVM_RUN.
Exit KvmVcpu::run() {
    kick_.adopt_thread();
    follow_clock();
    for (;;) {
        prepare_entry();
        kick_.enter();
        const int result = handle_->call(KVM_RUN, 0);
        kick_.leave();
        ++entries_;
        if (result >= 0) {
            if (const auto exit = handle_exit()) return *exit;
        } else if (result == -EINTR) {
            ++returns_;
            kick_.rearm();
            if (kick_.take()) return {ExitReason::interrupted, {}};
        } else if (result != -EAGAIN) {  // that is a vCPU which has waited for its INIT
            return exits_.fail("KVM_RUN failed with error", static_cast<uint64_t>(-result));
        }
    }
}

std::optional<Exit> KvmVcpu::handle_exit() {
    if (run_.exit_reason == KVM_EXIT_DEBUG) return debug_.handle(run_.debug.arch);
    if (run_.exit_reason == KVM_EXIT_DIRTY_RING_FULL && machine_.slots != nullptr) {
        ++full_rings_;
        machine_.slots->collect();
        return std::nullopt;
    }
    const bool unknown_instruction = run_.exit_reason == KVM_EXIT_INTERNAL_ERROR &&
                                     run_.internal.suberror == KVM_INTERNAL_ERROR_EMULATION;
    return unknown_instruction ? finish_instruction() : exits_.handle();
}

std::optional<Exit> KvmVcpu::finish_instruction() {
    ++finished_;
    x86::RegisterState state;
    if (!get_state_from_kvm(state)) return exits_.handle();
    if (const auto exit = finisher_.finish(state)) return exit;
    if (!set_state(state)) return exits_.handle();
    follow_clock();
    if (debug_.steps()) return Exit{ExitReason::debug, {}, {DebugEvent::step}};
    return std::nullopt;
}

void KvmVcpu::prepare_entry() {
    if (nmi_.load() && nmi_.exchange(false)) handle_->call(KVM_NMI, 0);
    if (wiring_.ext_int != nullptr) offer_ext_int();
}

// KVM says whether LINT0, RFLAGS.IF and the interrupt shadow let an interrupt of the 8259s in, or
// returns when they do (KVM API 5, "request_interrupt_window"; 4.16).
void KvmVcpu::offer_ext_int() {
    run_.request_interrupt_window = 0;
    if (!wiring_.ext_int->pending()) return;
    if (run_.ready_for_interrupt_injection == 0) {
        run_.request_interrupt_window = 1;
        return;
    }
    const auto vector = wiring_.ext_int->acknowledge();
    if (!vector) return;
    kvm_interrupt interrupt{.irq = *vector};
    handle_->call_with(KVM_INTERRUPT, interrupt);
    run_.ready_for_interrupt_injection = 0;  // one at a time
}

void KvmVcpu::raise_nmi() {
    nmi_.store(true);
    kick_.poke();
}

// Where the guest's TSC is not the host's, because that is no clock, it is left to KVM, which keeps
// those of all vCPUs together.
void KvmVcpu::follow_clock() {
    const uint32_t changes = machine_.clock_changes.load(std::memory_order_acquire);
    if (changes == clock_changes_) return;
    clock_changes_ = changes;
    if (const auto offset = machine_.clock.host_tsc_offset()) set_tsc_offset(*offset + tsc_offset_);
}

// KVM_VCPU_TSC_OFFSET (Documentation/virt/kvm/devices/vcpu.rst, 4.1); by the register where the
// kernel does not have it, which is less exact.
void KvmVcpu::set_tsc_offset(uint64_t offset) {
    kvm_device_attr attribute{};
    attribute.group = KVM_VCPU_TSC_CTRL;
    attribute.attr = KVM_VCPU_TSC_OFFSET;
    attribute.addr = reinterpret_cast<uintptr_t>(&offset);
    if (handle_->call_with(KVM_SET_DEVICE_ATTR, attribute) >= 0) return;
    set_msr(*handle_, x86::kMsrTsc, machine_.clock.tsc() + tsc_offset_);
}

void KvmVcpu::get_state(x86::RegisterState& state) const {
    const auto got = get_state_from_kvm(state);
    if (!got) LOG_ERROR("kvm", "%s", std::string(got.error().text()).c_str());
}

Result<void> KvmVcpu::get_state_from_kvm(x86::RegisterState& state) const {
    constexpr std::string_view kWhat = "read the vCPU's state from KVM";
    kvm_regs general{};
    kvm_sregs special{};
    kvm_debugregs debug{};
    kvm_xcrs xcrs{};
    kvm_xsave xsave{};
    kvm_vcpu_events events{};
    kvm_mp_state activity{};
    // First the activity: asking for it makes KVM carry out what the vCPU has been sent.
    TRY(handle_->demand_with(KVM_GET_MP_STATE, activity, kWhat));
    TRY(handle_->demand_with(KVM_GET_REGS, general, kWhat));
    TRY(handle_->demand_with(KVM_GET_SREGS, special, kWhat));
    TRY(handle_->demand_with(KVM_GET_DEBUGREGS, debug, kWhat));
    TRY(handle_->demand_with(KVM_GET_XSAVE, xsave, kWhat));
    TRY(handle_->demand_with(KVM_GET_VCPU_EVENTS, events, kWhat));
    get_general(general, state);
    get_special(special, state);
    get_pdptes(machine_.memory, state);
    get_debug(debug, state);
    if (handle_->call_with(KVM_GET_XCRS, xcrs) >= 0) get_xcr0(xcrs, state);
    machine_.xsave.get(xsave, state.xsave);
    TRY(get_msrs(*handle_, state.msr));
    state.msr.efer = special.efer;
    state.msr.tsc_offset = tsc_offset_;
    get_events(events, state);
    get_activity(activity, state);
    return {};
}

// The special registers first: what the others mean depends on them. The activity last: nothing
// after it may wake the vCPU.
Result<void> KvmVcpu::set_state(const x86::RegisterState& state) {
    constexpr std::string_view kWhat = "write the vCPU's state to KVM";
    kvm_sregs special{};
    kvm_debugregs debug{};
    kvm_xcrs xcrs{};
    kvm_xsave xsave{};
    kvm_vcpu_events events{};
    kvm_regs general{};
    kvm_mp_state activity{};
    TRY(handle_->demand_with(KVM_GET_SREGS, special, kWhat));
    set_special(state, special);
    kvm::set_debug(state, debug);
    set_xcr0(state, xcrs);
    machine_.xsave.set(state.xsave, xsave);
    set_events(state, events);
    set_general(state, general);
    set_activity(state, activity);
    TRY(handle_->demand_with(KVM_SET_SREGS, special, kWhat));
    // Hosts without XSAVE have no XCR0.
    if (handle_->call_with(KVM_SET_XCRS, xcrs) < 0 && state.xcr0 != x86::kXcr0X87)
        return fail(ErrorCode::unsupported,
                    "write the vCPU's state to KVM: this host's processor lacks vector state; use "
                    "--engine soft");
    TRY(handle_->demand_with(KVM_SET_XSAVE, xsave, kWhat));
    TRY(set_msrs(*handle_, state.msr));
    TRY(handle_->demand_with(KVM_SET_REGS, general, kWhat));
    TRY(handle_->demand_with(KVM_SET_DEBUGREGS, debug, kWhat));
    TRY(handle_->demand_with(KVM_SET_VCPU_EVENTS, events, kWhat));
    TRY(handle_->demand_with(KVM_SET_MP_STATE, activity, kWhat));
    tsc_offset_ = state.msr.tsc_offset;
    clock_changes_ = 0;
    return {};
}

void KvmVcpu::reset() {
    nmi_ = false;
    const auto state = x86::power_on_state(wiring_.index == 0, machine_.signature);
    // What KVM has taken at the start it takes again.
    BANYAN_ASSERT(set_state(state).has_value());
}

Result<void> KvmVcpu::set_debug(const DebugRequest& request) {
    return debug_.set(request);
}

// KVM API, KVM_TRANSLATE.
std::optional<Gpa> KvmVcpu::translate(uint64_t linear) const {
    kvm_translation translation{};
    translation.linear_address = linear;
    if (handle_->call_with(KVM_TRANSLATE, translation) < 0 || translation.valid == 0)
        return std::nullopt;
    return Gpa{translation.physical_address};
}

Statistics KvmVcpu::statistics() const {
    Statistics all{{"entries", entries_},
                   {"kicks", returns_},
                   {"finished_instructions", finished_},
                   {"full_rings", full_rings_}};
    exits_.add_statistics(all);
    return all;
}

}  // namespace banyan::kvm
