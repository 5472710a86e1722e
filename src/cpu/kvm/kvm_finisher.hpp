// KvmFinisher: executes, by the soft engine's interpreter, one instruction that KVM reports that it
// cannot emulate (KVM API 5, KVM_EXIT_INTERNAL_ERROR): vector instructions on device memory, or,
// where KVM has no hardware behind it, whatever it does not know.
#pragma once

#include <memory>
#include <string>

#include "cpu/kvm/kvm_handle.hpp"
#include "vm/engine.hpp"

namespace banyan::kvm {

// What an interpreted instruction may ask of the vCPU's local APIC, which is the kernel's.
class KvmInterrupts final : public CpuInterrupts {
public:
    explicit KvmInterrupts(const KvmHandle& vcpu) : vcpu_(vcpu) {}

    // KVM delivers them, before or after the instruction.
    bool interrupt_pending() const override { return false; }
    std::optional<uint8_t> acknowledge_interrupt() override { return std::nullopt; }
    uint8_t read_cr8() const override;
    void write_cr8(uint8_t priority) override;
    bool read_apic_msr(uint32_t index, uint64_t& value) override;
    bool write_apic_msr(uint32_t index, uint64_t value) override;
    bool set_pv_eoi(uint64_t msr) override;
    uint64_t pv_eoi() const override;

private:
    const KvmHandle& vcpu_;
};

// For one vCPU, on its thread. The interpreter is made when it is first needed.
class KvmFinisher {
public:
    // The engine's configuration, and the CPU model by its name.
    struct Settings {
        EngineConfig config;
        std::string cpu_model;
    };

    // `vcpu` and `settings` outlive this.
    KvmFinisher(const KvmHandle& vcpu, const VcpuWiring& wiring, const Settings& settings);
    ~KvmFinisher();

    // Executes the instruction at `state`'s RIP, or delivers what it raises. An Exit where the
    // interpreter cannot go on either.
    std::optional<Exit> finish(x86::RegisterState& state);

private:
    Result<void> make_interpreter();

    VcpuWiring wiring_;
    const Settings& settings_;
    KvmInterrupts interrupts_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Vcpu> interpreter_;
    std::string failure_;
};

}  // namespace banyan::kvm
