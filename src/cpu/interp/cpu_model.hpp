// CpuModel: what CPUID says: the features this engine offers, cut to what the host can execute
// natively.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "support/result.hpp"

namespace banyan::interp {

struct CpuidResult {
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Features that decide whether an instruction exists for the guest. The order is of no meaning.
enum class Feature : uint8_t {
    sse3,
    pclmulqdq,
    monitor,
    ssse3,
    fma,
    cx16,
    pcid,
    sse4_1,
    sse4_2,
    x2apic,
    movbe,
    popcnt,
    tsc_deadline,
    aes,
    xsave,
    avx,
    f16c,
    rdrand,
    fsgsbase,
    bmi1,
    avx2,
    smep,
    bmi2,
    erms,
    invpcid,
    rdseed,
    adx,
    smap,
    clflushopt,
    clwb,
    sha,
    umip,
    gfni,
    vaes,
    vpclmulqdq,
    rdpid,
    avx_vnni,
    avx512f,
    avx512dq,
    avx512ifma,
    avx512cd,
    avx512bw,
    avx512vl,
    avx512vbmi,
    avx512vbmi2,
    avx512vnni,
    avx512bitalg,
    avx512vpopcntdq,
    avx512bf16,
    xsaveopt,
    xsavec,
    xgetbv1,
    lzcnt,
    sse4a,
    nx,
    pdpe1gb,
    rdtscp,
    long_mode,
    xsaveerptr,
    count
};

enum class CpuidOutput : uint8_t { eax, ebx, ecx, edx };

// Whose rules hold where processors differ: the host's, so that what runs natively and what is
// interpreted agree.
enum class Vendor : uint8_t { intel, amd };

class CpuModel {
public:
    // `name`: "max" or "host" (all that the engine and the host have), "x86-64", "x86-64-v2",
    // "x86-64-v3": the levels of the psABI, and what an operating system needs beside them.
    static Result<CpuModel> create(std::string_view name, unsigned cpu_count, uint64_t tsc_hz);

    bool has(Feature feature) const {
        return (features_ >> static_cast<unsigned>(feature) & 1U) != 0;
    }
    bool is_amd() const { return vendor_ == Vendor::amd; }
    // CPUID as this vCPU sees it; OSXSAVE and the APIC id depend on the vCPU.
    CpuidResult cpuid(uint32_t leaf, uint32_t subleaf, unsigned apic_id, uint64_t cr4,
                      uint64_t xcr0) const;
    // The components of state that XCR0 can enable (Intel SDM vol. 1 section 13.1).
    uint64_t state_components() const;
    // Family, model and stepping: EDX after reset.
    uint32_t signature() const { return signature_; }
    unsigned physical_address_bits() const { return 40; }

private:
    // The bits of the features that this model has in one output of CPUID.
    uint32_t feature_word(uint32_t leaf, uint32_t subleaf, CpuidOutput output) const;
    void drop(std::initializer_list<Feature> features);
    void drop_useless_features();
    CpuidResult standard_leaf(uint32_t leaf, uint32_t subleaf, unsigned apic_id, uint64_t cr4,
                              uint64_t xcr0) const;
    CpuidResult extended_leaf(uint32_t leaf, uint32_t subleaf, unsigned apic_id) const;
    CpuidResult hypervisor_leaf(uint32_t leaf) const;
    CpuidResult identification(unsigned apic_id, uint64_t cr4) const;
    CpuidResult topology(uint32_t subleaf, unsigned apic_id) const;
    CpuidResult xsave_leaf(uint32_t subleaf, uint64_t xcr0) const;
    CpuidResult structured_features(uint32_t subleaf) const;
    CpuidResult cache(uint32_t subleaf) const;
    CpuidResult extended_features() const;
    CpuidResult address_sizes() const;
    unsigned core_id_bits() const;

    uint64_t features_ = 0;
    Vendor vendor_ = Vendor::intel;
    uint32_t signature_ = 0;
    unsigned cpu_count_ = 1;
    uint64_t tsc_hz_ = 0;
};

}  // namespace banyan::interp
