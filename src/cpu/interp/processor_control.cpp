// HLT, CPUID, time stamps, MSR access, TLB and cache control, XCR0, hypercalls. Source: Intel SDM
// vol. 2, AMD APM vol. 3.
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/msr.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

uint32_t low(uint64_t value) {
    return static_cast<uint32_t>(value);
}
uint64_t edx_eax(const Cpu& cpu) {
    return uint64_t{low(cpu.gpr[x86::kRdx])} << 32 | low(cpu.gpr[x86::kRax]);
}
void set_edx_eax(Cpu& cpu, uint64_t value) {
    cpu.gpr[x86::kRax] = low(value);
    cpu.gpr[x86::kRdx] = value >> 32;
}

void op_hlt(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    cpu.activity = x86::Activity::halted;
    cpu.finish(op);
}

// The feature bit of the APIC is off while IA32_APIC_BASE disables it: Intel SDM vol. 3 section
// 11.4.3.
bool apic_disabled(const Cpu& cpu) {
    constexpr uint64_t kEnabled = 1U << 11;
    uint64_t base = kEnabled;
    return cpu.wiring.interrupts != nullptr &&
           cpu.wiring.interrupts->read_apic_msr(x86::kMsrApicBase, base) && (base & kEnabled) == 0;
}

void op_cpuid(Cpu& cpu, const Op* op) {
    constexpr uint32_t kApic = 1U << 9;
    const uint32_t leaf = low(cpu.gpr[x86::kRax]);
    CpuidResult result =
        cpu.model.cpuid(leaf, low(cpu.gpr[x86::kRcx]), cpu.wiring.index, cpu.cr4, cpu.xcr0);
    if (leaf == 1 && apic_disabled(cpu)) result.edx &= ~kApic;
    cpu.gpr[x86::kRax] = result.eax;
    cpu.gpr[x86::kRbx] = result.ebx;
    cpu.gpr[x86::kRcx] = result.ecx;
    cpu.gpr[x86::kRdx] = result.edx;
    cpu.finish_serialising(op);
}

bool may_read_tsc(Cpu& cpu, const Op* op) {
    return (cpu.cr4 & x86::kCr4Tsd) == 0 || cpu.cpl == 0 || cpu.raise_gp(op);
}

void op_rdtsc(Cpu& cpu, const Op* op) {
    if (!may_read_tsc(cpu, op)) return;
    set_edx_eax(cpu, guest_tsc(cpu));
    NEXT(cpu, op);
}

void op_rdtscp(Cpu& cpu, const Op* op) {
    if (!cpu.model.has(Feature::rdtscp)) {
        cpu.raise_ud(op);
        return;
    }
    if (!may_read_tsc(cpu, op)) return;
    set_edx_eax(cpu, guest_tsc(cpu));
    cpu.gpr[x86::kRcx] = low(cpu.msr.tsc_aux);
    NEXT(cpu, op);
}

void op_rdpid(Cpu& cpu, const Op* op) {
    if (!cpu.model.has(Feature::rdpid)) {
        cpu.raise_ud(op);
        return;
    }
    cpu.gpr[op->destination / 8U] = low(cpu.msr.tsc_aux);
    NEXT(cpu, op);
}

// There are no counters.
void op_rdpmc(Cpu& cpu, const Op* op) {
    cpu.raise_gp(op);
}

void op_rdmsr(Cpu& cpu, const Op* op) {
    uint64_t value;
    if (!require_cpl0(cpu, op)) return;
    if (!read_msr(cpu, low(cpu.gpr[x86::kRcx]), value)) {
        cpu.raise_gp(op);
        return;
    }
    set_edx_eax(cpu, value);
    NEXT(cpu, op);
}

void op_wrmsr(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    if (!write_msr(cpu, low(cpu.gpr[x86::kRcx]), edx_eax(cpu))) {
        cpu.raise_gp(op);
        return;
    }
    cpu.finish_serialising(op);
}

// The operand is an address and nothing is accessed: no limit is checked, and what is not canonical
// changes nothing.
void op_invlpg(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    uint64_t linear = cpu.base[op->segment] + cpu.effective_address(op);
    if (!cpu.code64()) linear &= 0xFFFFFFFF;
    if (is_canonical(linear)) cpu.flush_tlb_page(linear);
    cpu.finish_serialising(op);
}

enum class InvpcidType : uint8_t { address = 0, context = 1, all_with_global = 2, all = 3 };

bool invpcid_allowed(const Cpu& cpu, uint64_t type, uint64_t pcid, uint64_t linear) {
    if (type > static_cast<uint64_t>(InvpcidType::all) || pcid >> 12 != 0) return false;
    if (type == static_cast<uint64_t>(InvpcidType::address) && !is_canonical(linear)) return false;
    const bool uses_pcid = type <= static_cast<uint64_t>(InvpcidType::context);
    return !uses_pcid || pcid == 0 || (cpu.cr4 & x86::kCr4Pcide) != 0;
}

void op_invpcid(Cpu& cpu, const Op* op) {
    if (!cpu.model.has(Feature::invpcid)) {
        cpu.raise_ud(op);
        return;
    }
    if (!require_cpl0(cpu, op)) return;
    uint64_t pcid;
    uint64_t linear;
    if (!cpu.read(op, pcid) || !cpu.read(op, linear, 8)) return;
    const uint64_t type =
        cpu.code64() ? cpu.get<uint64_t>(op->destination) : cpu.get<uint32_t>(op->destination);
    if (!invpcid_allowed(cpu, type, pcid, linear)) {
        cpu.raise_gp(op);
        return;
    }
    if (type == static_cast<uint64_t>(InvpcidType::address)) {
        cpu.flush_tlb_page(linear);
    } else {
        cpu.flush_tlb();
    }
    cpu.finish_serialising(op);
}

// INVD, WBINVD: the caches are the host's and coherent.
void op_invalidate_caches(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    cpu.finish_serialising(op);
}

bool xcr_access_on(Cpu& cpu, const Op* op) {
    return (cpu.cr4 & x86::kCr4OsXsave) != 0 || cpu.raise_ud(op);
}

// XCR1 gives the components in use; all that are enabled may be said to be.
void op_xgetbv(Cpu& cpu, const Op* op) {
    if (!xcr_access_on(cpu, op)) return;
    const uint32_t index = low(cpu.gpr[x86::kRcx]);
    if (index != 0 && (index != 1 || !cpu.model.has(Feature::xgetbv1))) {
        cpu.raise_gp(op);
        return;
    }
    set_edx_eax(cpu, cpu.xcr0);
    NEXT(cpu, op);
}

// Intel SDM vol. 1 section 13.3.
bool xcr0_allowed(const Cpu& cpu, uint64_t value) {
    const auto all_of = [value](uint64_t bits) { return (value & bits) == bits; };
    if ((value & ~cpu.model.state_components()) != 0 || !all_of(x86::kXcr0X87)) return false;
    if ((value & x86::kXcr0Avx) != 0 && !all_of(x86::kXcr0Sse)) return false;
    return (value & x86::kXcr0Avx512) == 0 || all_of(x86::kXcr0Avx512 | x86::kXcr0Avx);
}

void op_xsetbv(Cpu& cpu, const Op* op) {
    if (!xcr_access_on(cpu, op) || !require_cpl0(cpu, op)) return;
    const uint64_t value = edx_eax(cpu);
    if (low(cpu.gpr[x86::kRcx]) != 0 || !xcr0_allowed(cpu, value)) {
        cpu.raise_gp(op);
        return;
    }
    cpu.xcr0 = value;
    cpu.finish(op);
    cpu.mode_changed();
}

// KVM's hypercall: CPUID offers no feature that uses one, so every number is unknown to it. Linux
// Documentation/virt/kvm/x86/hypercalls.rst.
void op_hypercall(Cpu& cpu, const Op* op) {
    constexpr int64_t kNotPermitted = -1;
    constexpr int64_t kNoSuchCall = -1000;
    const auto answer = static_cast<uint64_t>(cpu.cpl == 0 ? kNoSuchCall : kNotPermitted);
    cpu.gpr[x86::kRax] = cpu.code64() ? answer : low(answer);
    NEXT(cpu, op);
}

Handler select_block_end(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_HLT: return op_hlt;
        case ZYDIS_MNEMONIC_CPUID: return op_cpuid;
        case ZYDIS_MNEMONIC_INVD:
        case ZYDIS_MNEMONIC_WBINVD: return op_invalidate_caches;
        case ZYDIS_MNEMONIC_WRMSR: return op_wrmsr;
        case ZYDIS_MNEMONIC_INVLPG: return op_invlpg;
        case ZYDIS_MNEMONIC_INVPCID: return op_invpcid;
        case ZYDIS_MNEMONIC_XSETBV: return op_xsetbv;
        default: return nullptr;
    }
}

}  // namespace

Handler select_processor_control(const Decoded& decoded, Op& op) {
    if (const Handler handler = select_block_end(decoded.instruction.mnemonic)) {
        op.bits |= Op::kEndsBlock;
        return handler;
    }
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_RDTSC: return op_rdtsc;
        case ZYDIS_MNEMONIC_RDTSCP: return op_rdtscp;
        case ZYDIS_MNEMONIC_RDPID: return op_rdpid;
        case ZYDIS_MNEMONIC_RDPMC: return op_rdpmc;
        case ZYDIS_MNEMONIC_RDMSR: return op_rdmsr;
        case ZYDIS_MNEMONIC_XGETBV: return op_xgetbv;
        case ZYDIS_MNEMONIC_VMCALL:
        case ZYDIS_MNEMONIC_VMMCALL: return op_hypercall;
        default: return nullptr;
    }
}

}  // namespace banyan::interp
