// HostFeatures: what generated code may use of the host's processor for itself.
#pragma once

namespace banyan::jit {

struct HostFeatures {
    bool avx = false;
    bool avx512 = false;
    bool fast_pext = false;  // PEXT in hardware: not in microcode, as before Zen 3

    static HostFeatures of_this_host();
};

}  // namespace banyan::jit
