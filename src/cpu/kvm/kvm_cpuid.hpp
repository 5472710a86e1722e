// What CPUID says under KVM: the model that --cpu names, cut to what KVM can give on this host.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cpu/interp/cpu_model.hpp"
#include "cpu/kvm/kvm_handle.hpp"
#include "cpu/kvm/kvm_uapi.hpp"

namespace banyan::kvm {

// KVM_GET_SUPPORTED_CPUID (KVM API 4.46), of the system's handle.
Result<std::vector<kvm_cpuid_entry2>> supported_cpuid(const KvmHandle& system);

// What KVM offers but does not list there, for capabilities of its own say it.
struct CpuidExtras {
    bool tsc_deadline = false;      // KVM_CAP_TSC_DEADLINE_TIMER
    bool wide_msi_targets = false;  // 15-bit destinations, which KVM_CAP_X2APIC_API lets us pass on
};

// For KVM_SET_CPUID2, for the vCPU `index`. Where the model names a feature, KVM must have it;
// words that tell of flaws and their remedies are KVM's, because the guest's code runs on the
// host's processor; and so is the layout of the XSAVE area.
std::vector<kvm_cpuid_entry2> build_cpuid(const interp::CpuModel& model,
                                          std::span<const kvm_cpuid_entry2> supported,
                                          const CpuidExtras& extras, unsigned index);

// Before the vCPU's state is set.
Result<void> set_cpuid(const KvmHandle& vcpu, std::span<const kvm_cpuid_entry2> entries);

}  // namespace banyan::kvm
