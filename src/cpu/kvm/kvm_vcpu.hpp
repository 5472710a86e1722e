// KvmVcpu: one of KVM's vCPUs.
//
// HLT and the wait for a start-up IPI happen in the kernel, with its local APIC: run() never
// returns `halted`.
#pragma once

#include <atomic>
#include <memory>

#include "cpu/kvm/kvm_debug.hpp"
#include "cpu/kvm/kvm_exits.hpp"
#include "cpu/kvm/kvm_finisher.hpp"
#include "cpu/kvm/kvm_handle.hpp"
#include "cpu/kvm/kvm_kick.hpp"
#include "cpu/kvm/kvm_memory.hpp"
#include "cpu/kvm/kvm_xsave.hpp"
#include "support/counter.hpp"
#include "vm/engine.hpp"

namespace banyan::kvm {

// What all vCPUs of a machine share; outlives them.
struct KvmMachine {
    const GuestMemory& memory;
    const Clock& clock;
    XsaveLayout xsave;
    uint32_t signature = 0;                  // CPUID.1:EAX, in EDX after reset
    KvmMemory* slots = nullptr;              // null: without dirty rings
    KvmFinisher::Settings interpreter{};     // for instructions that KVM cannot emulate
    std::atomic<uint32_t> clock_changes{1};  // counts Engine::clock_changed()
};

class KvmVcpu final : public Vcpu, public VcpuSignals {
public:
    // CPUID has been set.
    KvmVcpu(std::unique_ptr<KvmVcpuHandle> handle, const VcpuWiring& wiring, KvmMachine& machine,
            EoiListener& eoi);

    Exit run() override;
    void kick() override { kick_.kick(); }
    bool has_work() const override { return true; }
    VcpuSignals& signals() override { return *this; }
    void get_state(x86::RegisterState& state) const override;
    Result<void> set_state(const x86::RegisterState& state) override;
    void reset() override;
    Result<void> set_debug(const DebugRequest& request) override;
    std::optional<Gpa> translate(uint64_t linear) const override;
    // KVM does not count them.
    uint64_t instructions() const override { return 0; }
    Statistics statistics() const override;

    // Of INTR, the 8259s' output.
    void raise_interrupt() override { kick_.poke(); }
    void raise_nmi() override;
    // There is no system management mode; start-up messages go by the engine's own local APICs.
    void raise_smi() override {}
    void raise_init() override {}
    void raise_sipi(uint8_t) override {}

    const KvmHandle& handle() const { return *handle_; }

private:
    std::optional<Exit> handle_exit();
    std::optional<Exit> finish_instruction();
    void prepare_entry();
    void offer_ext_int();
    void follow_clock();
    void set_tsc_offset(uint64_t offset);
    Result<void> get_state_from_kvm(x86::RegisterState& state) const;

    const std::unique_ptr<KvmVcpuHandle> handle_;
    kvm_run& run_;
    const VcpuWiring wiring_;
    KvmMachine& machine_;

    KvmKick kick_;
    KvmExits exits_;
    KvmFinisher finisher_;
    KvmDebug debug_;
    std::atomic<bool> nmi_{false};
    uint32_t clock_changes_ = 0;  // as of the last follow_clock()
    uint64_t tsc_offset_ = 0;     // guest TSC - Clock::tsc()

    Counter entries_;
    Counter returns_;
    Counter finished_;
    Counter full_rings_;
};

}  // namespace banyan::kvm
