// Sources: Intel SDM vol. 4 chapter 2; AMD PPR of family 19h, chapter "MSR registers"; AMD APM vol.
// 2 appendix A.
#include "cpu/interp/msr_vendor.hpp"

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/cpu_model.hpp"

namespace banyan::interp {

namespace {

// Reads give `value`; writes are accepted and change nothing.
struct Constant {
    uint32_t first;
    uint32_t last;
    uint64_t value;
};

constexpr uint32_t kDebugControl = 0x1D9;

constexpr Constant kAmd[] = {
    {0x1D9, 0x1D9, 0},                  // DBG_CTL
    {0x1DB, 0x1DE, 0},                  // last branch
    {0xC0010000, 0xC0010007, 0},        // performance counters, never counting
    {0xC0010010, 0xC0010010, 0},        // SYS_CFG
    {0xC0010015, 0xC0010015, 1 << 24},  // HWCR: the TSC counts at the P0 frequency
    {0xC0010016, 0xC001001A, 0},        // IORR, TOP_MEM
    {0xC001001D, 0xC001001D, 0},        // TOP_MEM2
    {0xC001001F, 0xC001001F, 0},        // NB_CFG
    {0xC0010020, 0xC0010020, 0},        // PATCH_LOADER
    {0xC0010055, 0xC0010055, 0},        // INT_PENDING
    {0xC0010058, 0xC0010058, 0},        // MMIO_CONF_BASE: off
    {0xC0010112, 0xC0010114, 0},        // SMM range, VM_CR
    {0xC0010117, 0xC0010117, 0},        // VM_HSAVE_PA
    {0xC0011020, 0xC0011028, 0},        // LS_CFG, IC_CFG, DC_CFG and their like
    {0xC0011029, 0xC0011029, 1 << 1},   // DE_CFG: LFENCE is serialising
    {0xC001102A, 0xC001102F, 0},
};

// Not affected by meltdown, L1TF, SSB, MDS, page-size-change machine checks, TAA, stale data in
// MMIO buffers, branch history injection, post-barrier returns, gather sampling, register file
// sampling; IBRS may stay on all the time.
constexpr uint64_t kArchCapabilities = 1U << 0 | 1U << 1 | 1U << 3 | 1U << 4 | 1U << 5 | 1U << 6 |
                                       1U << 8 | 1U << 13 | 1U << 14 | 1U << 15 | 1U << 20 |
                                       1U << 24 | 1U << 26 | 1U << 27;

constexpr Constant kIntel[] = {
    {0x17, 0x17, 0},                                        // PLATFORM_ID
    {0x2A, 0x2A, 0},                                        // EBL_CR_POWERON
    {0x34, 0x34, 0},                                        // SMI_COUNT
    {x86::kMsrFeatureControl, x86::kMsrFeatureControl, 1},  // locked, VMX off
    {x86::kMsrPredCmd, x86::kMsrPredCmd, 0},
    {0xCE, 0xCE, 0},  // PLATFORM_INFO
    {x86::kMsrArchCapabilities, x86::kMsrArchCapabilities, kArchCapabilities},
    {0x140, 0x140, 0},  // MISC_FEATURES_ENABLES
    {kDebugControl, kDebugControl, 0},
    {0x1DB, 0x1DE, 0},  // last branch, last interrupt
};

const Constant* find(const Cpu& cpu, uint32_t index) {
    const Constant* const first = cpu.model.is_amd() ? std::begin(kAmd) : std::begin(kIntel);
    const Constant* const last = cpu.model.is_amd() ? std::end(kAmd) : std::end(kIntel);
    for (const Constant* i = first; i != last; ++i) {
        if (index >= i->first && index <= i->last) return i;
    }
    return nullptr;
}

bool has_spec_ctrl(const Cpu& cpu, uint32_t index) {
    return index == x86::kMsrSpecCtrl && !cpu.model.is_amd();
}

}  // namespace

// AMD's is the patch level itself, Intel's stands in the high half.
uint64_t microcode_revision(const Cpu& cpu) {
    constexpr uint64_t kAmdPatchLevel = 0x01000065;
    constexpr uint64_t kIntelRevision = uint64_t{1} << 32;
    return cpu.model.is_amd() ? kAmdPatchLevel : kIntelRevision;
}

bool read_vendor_msr(const Cpu& cpu, uint32_t index, uint64_t& value) {
    if (has_spec_ctrl(cpu, index)) {
        value = cpu.msr.spec_ctrl;
        return true;
    }
    const Constant* const constant = find(cpu, index);
    if (constant == nullptr || index == x86::kMsrPredCmd) return false;
    value = constant->value;
    return true;
}

bool write_vendor_msr(Cpu& cpu, uint32_t index, uint64_t value) {
    if (has_spec_ctrl(cpu, index)) {
        constexpr uint64_t kIbrsStibpSsbd = 7;
        if ((value & ~kIbrsStibpSsbd) != 0) return false;
        cpu.msr.spec_ctrl = value;
        return true;
    }
    if (index == x86::kMsrArchCapabilities) return false;  // read-only
    return find(cpu, index) != nullptr;
}

}  // namespace banyan::interp
