#include "cpu/kvm/kvm_finisher.hpp"

#include "arch/x86/register_state.hpp"
#include "cpu/interp/interp_engine.hpp"
#include "cpu/kvm/kvm_msrs.hpp"

namespace banyan::kvm {

uint8_t KvmInterrupts::read_cr8() const {
    kvm_sregs special{};
    vcpu_.call_with(KVM_GET_SREGS, special);
    return static_cast<uint8_t>(special.cr8);
}

void KvmInterrupts::write_cr8(uint8_t priority) {
    kvm_sregs special{};
    if (vcpu_.call_with(KVM_GET_SREGS, special) < 0) return;
    special.cr8 = priority;
    vcpu_.call_with(KVM_SET_SREGS, special);
}

bool KvmInterrupts::read_apic_msr(uint32_t index, uint64_t& value) {
    return get_msr(vcpu_, index, value);
}

bool KvmInterrupts::write_apic_msr(uint32_t index, uint64_t value) {
    return set_msr(vcpu_, index, value);
}

bool KvmInterrupts::set_pv_eoi(uint64_t msr) {
    return set_msr(vcpu_, x86::kMsrKvmPvEoiEn, msr);
}

uint64_t KvmInterrupts::pv_eoi() const {
    uint64_t value = 0;
    return get_msr(vcpu_, x86::kMsrKvmPvEoiEn, value) ? value : 0;
}

KvmFinisher::KvmFinisher(const KvmHandle& vcpu, const VcpuWiring& wiring, const Settings& settings)
    : wiring_(wiring), settings_(settings), interrupts_(vcpu) {
    wiring_.interrupts = &interrupts_;
    wiring_.ext_int = nullptr;
}

KvmFinisher::~KvmFinisher() = default;

Result<void> KvmFinisher::make_interpreter() {
    TRY_ASSIGN(engine, interp::create_engine(settings_.config, settings_.cpu_model));
    engine_ = std::move(engine);
    TRY_ASSIGN(vcpu, engine_->create_vcpu(wiring_));
    interpreter_ = std::move(vcpu);
    return {};
}

// A shadow holds events back for exactly one instruction (Intel SDM vol. 3 section 6.8.3), and the
// kick is such an event. A reset first: what the interpreter has decoded may have been overwritten
// by vCPUs that it does not see.
std::optional<Exit> KvmFinisher::finish(x86::RegisterState& state) {
    if (interpreter_ == nullptr) {
        if (auto made = make_interpreter(); !made) {
            failure_ = made.error().text();
            return Exit{ExitReason::internal_error, failure_};
        }
    }
    interpreter_->reset();
    state.events.interrupt_shadow = true;
    if (auto set = interpreter_->set_state(state); !set) {
        failure_ = set.error().text();
        return Exit{ExitReason::internal_error, failure_};
    }
    interpreter_->kick();
    const Exit exit = interpreter_->run();
    interpreter_->get_state(state);
    if (exit.reason == ExitReason::interrupted || exit.reason == ExitReason::halted)
        return std::nullopt;
    return exit;
}

}  // namespace banyan::kvm
