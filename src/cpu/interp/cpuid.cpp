// CpuModel::cpuid(). Source: Intel SDM vol. 2 "CPUID", AMD APM vol. 3 appendix E, Linux
// Documentation/virt/kvm/x86/cpuid.rst.
#include <array>
#include <bit>
#include <cstring>

#include "arch/x86/registers.hpp"
#include "arch/x86/xsave_layout.hpp"
#include "cpu/interp/cpu_model.hpp"

namespace banyan::interp {

namespace {

using Output = CpuidOutput;

// FPU DE PSE TSC MSR PAE MCE CX8 APIC, SEP MTRR PGE MCA CMOV PAT PSE36, CLFSH, MMX FXSR SSE SSE2.
// No VME.
constexpr uint32_t kBaseFeatures = 0x078BFBFD;
constexpr uint32_t kHyperThreading = 1U << 28;
constexpr uint32_t kHypervisor = 1U << 31;
constexpr uint32_t kOsXsave = 1U << 27;
constexpr uint32_t kTscAdjust = 1U << 1;
constexpr uint32_t kAlwaysRunningApicTimer = 1U << 2;
constexpr uint32_t kInvariantTsc = 1U << 8;

// Extended leaf 1.
constexpr uint32_t kLahf = 1U << 0;
constexpr uint32_t kCmpLegacy = 1U << 1;
constexpr uint32_t kPrefetchW = 1U << 8;
constexpr uint32_t kTopologyExtensions = 1U << 22;
constexpr uint32_t kSyscall = 1U << 11;
constexpr uint32_t kMmxExtensions = 1U << 22;
constexpr uint32_t kAmdDuplicates = 0x0183F3FF;  // bits of leaf 1 EDX that AMD repeats

// Words that tell a kernel which flaws of real processors it need not work around.
constexpr uint32_t kIntelIbrs = 1U << 26;
constexpr uint32_t kIntelArchCapabilities = 1U << 29;
constexpr uint32_t kAmdSsbNo = 1U << 26;
constexpr uint32_t kAmdBtcNo = 1U << 29;
constexpr uint32_t kAmdLfenceSerialising = 1U << 2;
constexpr uint32_t kAmdNullSelectorClearsBase = 1U << 6;
constexpr uint32_t kAmdAutomaticIbrs = 1U << 8;
constexpr uint32_t kAmdSrsoNo = 1U << 29;
constexpr uint32_t kAmdSrsoUserKernelNo = 1U << 30;
constexpr uint32_t kAmdTsaNo = 3U << 1;

// KVM's paravirtual features.
constexpr uint32_t kKvmFeatures = 1U << 1 |   // port I/O needs no delays
                                  1U << 3 |   // clock source, by the newer MSRs
                                  1U << 6 |   // end of interrupt without an exit
                                  1U << 15 |  // 15-bit APIC ids in MSIs
                                  1U << 24;   // the clock source is the same on all CPUs
constexpr uint32_t kApicBusKhz = 1'000'000;
constexpr char kBrand[48] = "Banyan virtual CPU";

struct CacheLevel {
    uint32_t type;  // 1 data, 2 instructions, 3 both
    uint32_t level;
    uint32_t ways;
    uint32_t sets;
    bool shared;
};
constexpr std::array kCaches = {
    CacheLevel{1, 1, 8, 64, false},     // 32 KiB
    CacheLevel{2, 1, 8, 64, false},     // 32 KiB
    CacheLevel{3, 2, 8, 2048, false},   // 1 MiB
    CacheLevel{3, 3, 16, 16384, true},  // 16 MiB
};
constexpr uint32_t kLineSize = 64;

// The same caches in AMD's older leaves.
constexpr uint32_t kAmdL1 = 32U << 24 | 8U << 16 | 1U << 8 | kLineSize;
constexpr uint32_t kAmdL2 = 1024U << 16 | 6U << 12 | 1U << 8 | kLineSize;
constexpr uint32_t kAmdL3 = 32U << 18 | 9U << 12 | 1U << 8 | kLineSize;

CpuidResult vendor_leaf(uint32_t max_leaf, bool amd) {
    if (amd) return {max_leaf, 0x68747541, 0x444D4163, 0x69746E65};
    return {max_leaf, 0x756E6547, 0x6C65746E, 0x49656E69};
}

CpuidResult brand_leaf(uint32_t part) {
    CpuidResult result;
    std::memcpy(&result, kBrand + part * sizeof(result), sizeof(result));
    return result;
}

}  // namespace

unsigned CpuModel::core_id_bits() const {
    return static_cast<unsigned>(std::bit_width(cpu_count_ - 1));
}

CpuidResult CpuModel::identification(unsigned apic_id, uint64_t cr4) const {
    CpuidResult r;
    r.eax = signature_;
    r.ebx = (apic_id & 0xFF) << 24 | (1U << core_id_bits() & 0xFF) << 16 | (kLineSize / 8) << 8;
    r.ecx = feature_word(1, 0, Output::ecx) | kHypervisor;
    if ((cr4 & x86::kCr4OsXsave) != 0) r.ecx |= kOsXsave;
    r.edx = kBaseFeatures | (cpu_count_ > 1 ? kHyperThreading : 0);
    return r;
}

// Intel SDM vol. 2, leaf 4; AMD has the same at 8000'001D without the core count.
CpuidResult CpuModel::cache(uint32_t subleaf) const {
    if (subleaf >= kCaches.size()) return {};
    const CacheLevel& c = kCaches[subleaf];
    const uint32_t all = (1U << core_id_bits()) - 1;
    CpuidResult r;
    r.eax = c.type | c.level << 5 | 1U << 8 | (c.shared ? all & 0xFFF : 0) << 14;
    if (!is_amd()) r.eax |= (all & 0x3F) << 26;
    r.ebx = (kLineSize - 1) | (c.ways - 1) << 22;
    r.ecx = c.sets - 1;
    return r;
}

// One thread a core, all cores in one package.
CpuidResult CpuModel::topology(uint32_t subleaf, unsigned apic_id) const {
    CpuidResult r;
    r.ecx = subleaf;
    r.edx = apic_id;
    if (subleaf == 0) {
        r.ebx = 1;
        r.ecx |= 1U << 8;  // threads
    } else if (subleaf == 1) {
        r.eax = core_id_bits();
        r.ebx = cpu_count_;
        r.ecx |= 2U << 8;  // cores
    }
    return r;
}

// Intel SDM vol. 1 section 13.2.
CpuidResult CpuModel::xsave_leaf(uint32_t subleaf, uint64_t xcr0) const {
    if (!has(Feature::xsave)) return {};
    const uint64_t known = state_components();
    CpuidResult r;
    if (subleaf == 0) {
        r.eax = static_cast<uint32_t>(known);
        r.ebx = x86::xsave_size(xcr0);
        r.ecx = x86::xsave_size(known);
    } else if (subleaf == 1) {
        r.eax = feature_word(0xD, 1, Output::eax);
        r.ebx = has(Feature::xsavec) ? x86::compacted_xsave_size(xcr0) : 0;
    } else if (const x86::XsaveComponent* c = x86::find_xsave_component(subleaf);
               c != nullptr && (known & c->bit()) != 0) {
        r.eax = c->size;
        r.ebx = c->offset;
    }
    return r;
}

// Intel SDM vol. 2, leaf 7: subleaf 0 gives the number of the last one.
CpuidResult CpuModel::structured_features(uint32_t subleaf) const {
    const uint32_t more = feature_word(7, 1, Output::eax);
    CpuidResult r;
    if (subleaf == 0) {
        r.eax = more != 0 ? 1 : 0;
        r.ebx = feature_word(7, 0, Output::ebx) | kTscAdjust;
        r.ecx = feature_word(7, 0, Output::ecx);
        r.edx = is_amd() ? 0 : kIntelIbrs | kIntelArchCapabilities;
    } else if (subleaf == 1) {
        r.eax = more;
    }
    return r;
}

CpuidResult CpuModel::standard_leaf(uint32_t leaf, uint32_t subleaf, unsigned apic_id, uint64_t cr4,
                                    uint64_t xcr0) const {
    constexpr uint32_t kMaxIntel = 0x16;
    constexpr uint32_t kMaxAmd = 0xD;
    const auto tsc_khz = static_cast<uint32_t>(tsc_hz_ / 1000);
    switch (leaf) {
        case 0: return vendor_leaf(is_amd() ? kMaxAmd : kMaxIntel, is_amd());
        case 1: return identification(apic_id, cr4);
        case 6: return {kAlwaysRunningApicTimer, 0, 0, 0};
        case 7: return structured_features(subleaf);
        case 0xB: return topology(subleaf, apic_id);
        case 0xD: return xsave_leaf(subleaf, xcr0);
        default: break;
    }
    if (is_amd()) return {};
    switch (leaf) {
        case 2: return {0x0000FF01, 0, 0, 0};  // "see leaf 4"
        case 4: return cache(subleaf);
        // A crystal of the APIC timer's frequency: kernels take one for the other.
        case 0x15: return {1'000'000, tsc_khz, kApicBusKhz * 1000, 0};
        case 0x16: return {tsc_khz / 1000, tsc_khz / 1000, 100, 0};
        default: return {};
    }
}

CpuidResult CpuModel::extended_features() const {
    CpuidResult r;
    r.eax = is_amd() ? signature_ : 0;
    r.ecx = feature_word(0x80000001, 0, Output::ecx) | kLahf | kPrefetchW;
    r.edx = feature_word(0x80000001, 0, Output::edx) | kSyscall;
    if (is_amd()) {
        r.ecx |= kTopologyExtensions | (cpu_count_ > 1 ? kCmpLegacy : 0);
        r.edx |= kMmxExtensions | (kBaseFeatures & kAmdDuplicates);
    }
    return r;
}

CpuidResult CpuModel::address_sizes() const {
    constexpr uint32_t kLinearBits = 48;
    CpuidResult r;
    r.eax = physical_address_bits() | kLinearBits << 8;
    if (is_amd()) {
        r.ebx = feature_word(0x80000008, 0, Output::ebx) | kAmdSsbNo | kAmdBtcNo;
        r.ecx = ((cpu_count_ - 1) & 0xFF) | core_id_bits() << 12;
    }
    return r;
}

CpuidResult CpuModel::extended_leaf(uint32_t leaf, uint32_t subleaf, unsigned apic_id) const {
    constexpr uint32_t kMaxIntel = 0x80000008;
    constexpr uint32_t kMaxAmd = 0x80000021;
    switch (leaf) {
        case 0x80000000:
            return is_amd() ? vendor_leaf(kMaxAmd, true) : CpuidResult{kMaxIntel, 0, 0, 0};
        case 0x80000001: return extended_features();
        case 0x80000002:
        case 0x80000003:
        case 0x80000004: return brand_leaf(leaf - 0x80000002);
        case 0x80000006: return {0, 0, kAmdL2, is_amd() ? kAmdL3 : 0};
        case 0x80000007: return {0, 0, 0, kInvariantTsc};
        case 0x80000008: return address_sizes();
        default: break;
    }
    if (!is_amd()) return {};
    switch (leaf) {
        case 0x80000005: return {0, 0, kAmdL1, kAmdL1};
        case 0x8000001D: return cache(subleaf);
        case 0x8000001E: return {apic_id, apic_id & 0xFF, 0, 0};
        case 0x80000021:
            return {kAmdLfenceSerialising | kAmdNullSelectorClearsBase | kAmdAutomaticIbrs |
                        kAmdSrsoNo | kAmdSrsoUserKernelNo,
                    0, kAmdTsaNo, 0};
        default: return {};
    }
}

CpuidResult CpuModel::hypervisor_leaf(uint32_t leaf) const {
    switch (leaf) {
        case 0x40000000: return {0x40000010, 0x4B4D564B, 0x564B4D56, 0x4D};  // "KVMKVMKVM"
        case 0x40000001: return {kKvmFeatures, 0, 0, 0};
        case 0x40000010: return {static_cast<uint32_t>(tsc_hz_ / 1000), kApicBusKhz, 0, 0};
        default: return {};
    }
}

CpuidResult CpuModel::cpuid(uint32_t leaf, uint32_t subleaf, unsigned apic_id, uint64_t cr4,
                            uint64_t xcr0) const {
    if (leaf >= 0x80000000) return extended_leaf(leaf, subleaf, apic_id);
    if (leaf >= 0x40000000) return hypervisor_leaf(leaf);
    return standard_leaf(leaf, subleaf, apic_id, cr4, xcr0);
}

}  // namespace banyan::interp
