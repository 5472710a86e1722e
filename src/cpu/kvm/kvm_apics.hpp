// KvmApics: KVM's local APICs, as the board sees them ("split" irqchip: KVM API 7.5,
// KVM_CAP_SPLIT_IRQCHIP).
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "cpu/kvm/kvm_handle.hpp"
#include "support/mutex.hpp"
#include "vm/engine_apics.hpp"

namespace banyan::kvm {

class KvmApics final : public EngineApics, public EoiListener {
public:
    static constexpr unsigned kIoApicInputs = 24;

    // `vm` outlives this.
    explicit KvmApics(const KvmHandle& vm) : vm_(vm) {}

    // Puts the local APICs into the kernel: before vCPUs are created.
    Result<void> create();
    // Is an MSI's destination passed on with all its 15 bits?
    bool wide_targets() const { return wide_targets_; }
    // While the machine is built; in the order of their indices.
    void add_vcpu(const KvmHandle& vcpu) { vcpus_.push_back(&vcpu); }

    void connect(EoiListener& listener) override { listener_ = &listener; }
    Result<ApicRegisters> get_apic(unsigned index) const override;
    Result<void> set_apic(unsigned index, const ApicRegisters& registers) override;
    void send_msi(const MsiMessage& message) override;
    void set_level_route(unsigned input, const std::optional<MsiMessage>& message) override;

    // From a vCPU's exit.
    void end_of_interrupt(uint8_t vector) override {
        if (listener_ != nullptr) listener_->end_of_interrupt(vector);
    }

private:
    kvm_irq_routing_msi encode(const MsiMessage& message) const;
    void tell_routes() REQUIRES(mutex_);

    const KvmHandle& vm_;
    bool wide_targets_ = false;
    std::vector<const KvmHandle*> vcpus_;
    EoiListener* listener_ = nullptr;

    Mutex mutex_;  // a leaf
    std::array<std::optional<MsiMessage>, kIoApicInputs> routes_ GUARDED_BY(mutex_);
};

}  // namespace banyan::kvm
