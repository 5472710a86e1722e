// Whether this host can run guests by KVM, and if not, what would make it.
#pragma once

#include <string>

#include "support/result.hpp"

namespace banyan::kvm {

inline constexpr const char* kDevice = "/dev/kvm";

// What is there, as found by look_at_host().
struct KvmHost {
    int open_error = 0;       // errno of opening the device; 0: it can be used
    bool is_kvm = true;       // what was opened answers as KVM does
    std::string group{};      // that the device belongs to
    bool has_svm = false;     // as CPUID tells: AMD-V
    bool has_vmx = false;     // VT-x
    std::string container{};  // the runtime whose container this is ("docker"); empty: none
};

struct KvmVerdict {
    bool usable = false;   // --engine kvm works
    bool fast = false;     // there is hardware behind it: the best choice for any guest
    std::string why{};     // for one or the other
    std::string remedy{};  // what to do where it is not usable; empty: nothing helps

    // "use the engine kvm: why; what to do": where it is not usable.
    std::string refusal() const;
};

KvmHost look_at_host();
KvmVerdict judge(const KvmHost& host);

}  // namespace banyan::kvm
