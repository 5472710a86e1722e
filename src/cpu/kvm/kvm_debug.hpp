// KvmDebug: what a debugger outside of the guest asks of one of KVM's vCPUs: KVM API, "4.87
// KVM_SET_GUEST_DEBUG" and KVM_EXIT_DEBUG in section 5.
#pragma once

#include <optional>

#include "cpu/kvm/kvm_handle.hpp"
#include "vm/engine.hpp"

namespace banyan::kvm {

class KvmDebug {
public:
    // `vcpu` outlives this.
    explicit KvmDebug(const KvmHandle& vcpu) : vcpu_(vcpu) {}

    Result<void> set(const DebugRequest& request);
    bool steps() const { return request_.single_step; }

    // After KVM_EXIT_DEBUG. Nothing: it was the guest's own exception, which it gets when it is
    // entered again.
    std::optional<Exit> handle(const kvm_debug_exit_arch& exit);

private:
    kvm_guest_debug asked() const;
    std::optional<DebugStop> what_came(const kvm_debug_exit_arch& exit) const;
    void give_back(const kvm_debug_exit_arch& exit) const;

    const KvmHandle& vcpu_;
    DebugRequest request_;
};

}  // namespace banyan::kvm
