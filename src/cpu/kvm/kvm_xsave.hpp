// The XSAVE area between KVM's form and ours. Both are in standard format, but the host's processor
// decides where components lie: AMD's and Intel's AVX-512 state lie in different places.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "arch/x86/register_state.hpp"
#include "arch/x86/xsave_layout.hpp"
#include "cpu/kvm/kvm_uapi.hpp"

namespace banyan::kvm {

class XsaveLayout {
public:
    // From what KVM supports of CPUID leaf 0DH.
    explicit XsaveLayout(std::span<const kvm_cpuid_entry2> supported);

    // Components that the host has no place for are in their initial state.
    void get(const kvm_xsave& from, std::span<std::byte, x86::kXsaveSize> to) const;
    void set(std::span<const std::byte, x86::kXsaveSize> from, kvm_xsave& to) const;

private:
    std::array<uint32_t, x86::kXsaveComponents.size()> offsets_{};  // 0: the host has none
};

}  // namespace banyan::kvm
