#include "cpu/jit/host_features.hpp"

#include <asmjit/core.h>
#include <cstring>

namespace banyan::jit {

HostFeatures HostFeatures::of_this_host() {
    constexpr unsigned kZen3 = 0x19;
    const asmjit::CpuInfo& host = asmjit::CpuInfo::host();
    const auto& features = host.features().x86();
    const bool slow = std::strstr(host.vendor(), "AMD") != nullptr && host.familyId() < kZen3;
    return {.avx = features.hasAVX(),
            .avx512 = features.hasAVX512_F() && features.hasAVX512_BW(),
            .fast_pext = features.hasBMI2() && !slow};
}

}  // namespace banyan::jit
