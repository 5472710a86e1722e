// The vCPU's registers between KVM's structures (KVM API 4.2 to 4.5, 4.31 to 4.44) and
// RegisterState.
#pragma once

#include "arch/x86/register_state.hpp"
#include "cpu/kvm/kvm_uapi.hpp"
#include "vm/guest_memory.hpp"

namespace banyan::kvm {

void get_general(const kvm_regs& from, x86::RegisterState& to);
void set_general(const x86::RegisterState& from, kvm_regs& to);

// Not the PDPTEs, which KVM reads from memory with CR3 (AMD APM vol. 2 section 15.25.10: with
// nested paging, processors do so at each walk); nor what belongs to the local APIC: `to` keeps its
// IA32_APIC_BASE and CR8.
void get_special(const kvm_sregs& from, x86::RegisterState& to);
void set_special(const x86::RegisterState& from, kvm_sregs& to);
// Zeros where PAE paging is not in use.
void get_pdptes(const GuestMemory& memory, x86::RegisterState& state);

void get_debug(const kvm_debugregs& from, x86::RegisterState& to);
void set_debug(const x86::RegisterState& from, kvm_debugregs& to);

void get_xcr0(const kvm_xcrs& from, x86::RegisterState& to);
void set_xcr0(const x86::RegisterState& from, kvm_xcrs& to);

void get_events(const kvm_vcpu_events& from, x86::RegisterState& to);
void set_events(const x86::RegisterState& from, kvm_vcpu_events& to);

// The activity. A vCPU that waits for a start-up IPI has had its INIT, in KVM's words.
void get_activity(const kvm_mp_state& from, x86::RegisterState& to);
void set_activity(const x86::RegisterState& from, kvm_mp_state& to);

}  // namespace banyan::kvm
