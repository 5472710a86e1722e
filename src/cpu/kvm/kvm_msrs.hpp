// The model-specific registers of MsrState, all but EFER and the TSC, which have ways of their own.
#pragma once

#include "arch/x86/register_state.hpp"
#include "cpu/kvm/kvm_handle.hpp"
#include "support/result.hpp"

namespace banyan::kvm {

// What the host's KVM does not have keeps its value after power-on.
Result<void> get_msrs(const KvmHandle& vcpu, x86::MsrState& state);

// Fails when KVM refuses a register whose value is not that after power-on.
Result<void> set_msrs(const KvmHandle& vcpu, const x86::MsrState& state);

// One register; false: KVM refuses it.
bool get_msr(const KvmHandle& vcpu, uint32_t index, uint64_t& value);
bool set_msr(const KvmHandle& vcpu, uint32_t index, uint64_t value);

}  // namespace banyan::kvm
