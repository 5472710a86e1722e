// SYSCALL, SYSRET, SYSENTER, SYSEXIT. Source: Intel SDM vol. 2, AMD APM vol. 3; the vendors differ,
// and the CPU model says whose rules hold.
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/debug.hpp"
#include "cpu/interp/far_transfer.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

constexpr uint16_t kCode = 0x809B;  // granular, present, code, readable, accessed, DPL 0
constexpr uint16_t kData = 0x8093;
constexpr uint16_t kDpl3 = 0x60;
constexpr uint16_t kLong = 0x2000;
constexpr uint16_t kBig = 0x4000;
// What SYSRET and SYSEXIT load from R11: all defined flags but RF and VM. Intel SDM vol. 2
// "SYSRET".
constexpr uint32_t kReturnFlags = 0x3C7FD5;

x86::SegmentRegister flat(unsigned selector, unsigned attributes) {
    return {static_cast<uint16_t>(selector), {static_cast<uint16_t>(attributes)}, 0xFFFFFFFF, 0};
}

unsigned star(const Cpu& cpu, unsigned shift) {
    return cpu.msr.star >> shift & 0xFFFF;
}

void enter_kernel(Cpu& cpu, unsigned selector, bool long_code, uint64_t rip) {
    cpu.seg[x86::kSs] = flat((selector + 8) & 0xFFFF, kData | kBig);
    enter_code(cpu, flat(selector & 0xFFFC, kCode | (long_code ? kLong : kBig)), rip, 0);
}

void op_syscall(Cpu& cpu, const Op* op) {
    const bool allowed = cpu.code64() || cpu.model.is_amd();
    if (!allowed || (cpu.msr.efer & x86::kEferSce) == 0 || !cpu.protected_mode()) {
        cpu.raise_ud(op);
        return;
    }
    const uint64_t back = cpu.next_rip(op);
    if (cpu.long_mode()) {
        cpu.gpr[x86::kRcx] = back;
        cpu.gpr[x86::kR11] = cpu.rflags() & ~uint64_t{x86::kRf};
        const uint64_t target = cpu.code64() ? cpu.msr.lstar : cpu.msr.cstar;
        cpu.set_rflags(cpu.rflags() & ~(cpu.msr.sfmask | x86::kRf));
        enter_kernel(cpu, star(cpu, 32), true, target);
    } else {
        // AMD APM vol. 3: legacy mode clears IF, VM and RF, and takes EIP from STAR.
        cpu.gpr[x86::kRcx] = back;
        cpu.system_flags &= ~static_cast<uint32_t>(x86::kIf | x86::kVm | x86::kRf);
        enter_kernel(cpu, star(cpu, 32), false, cpu.msr.star & 0xFFFFFFFF);
    }
    cpu.debug.step =
        cpu.flag(x86::kTf);  // TF counts as SFMASK has left it: AMD APM vol. 2 section 13.1.4
}

// AMD leaves SS as it is but for the selector: APM vol. 3 "SYSRET"; Intel loads a flat segment. DPL
// is set all the same: saved states have the CPL there (Intel SDM vol. 3 section 25.4.1).
void load_user_stack(Cpu& cpu, unsigned selector) {
    x86::SegmentRegister& ss = cpu.seg[x86::kSs];
    if (cpu.model.is_amd()) {
        ss.selector = static_cast<uint16_t>(selector);
        ss.attributes.set<x86::Attributes::Dpl>(3);
    } else {
        ss = flat(selector | 3, kData | kBig | kDpl3);
    }
}

// A trap flag loaded here stops before the next instruction, not after it: Linux relies on it when
// it avoids SYSRET for traced programs.
void trap_at_once(Cpu& cpu) {
    cpu.debug.step = false;
    if (cpu.flag(x86::kTf)) raise_debug_trap(cpu, kDr6Bs);
}

void op_sysret(Cpu& cpu, const Op* op) {
    const bool allowed = cpu.code64() || cpu.model.is_amd();
    if (!allowed || (cpu.msr.efer & x86::kEferSce) == 0 || !cpu.protected_mode()) {
        cpu.raise_ud(op);
        return;
    }
    if (!require_cpl0(cpu, op)) return;
    const bool to64 = op->operand_size == 8;
    const uint64_t rip = to64 ? cpu.gpr[x86::kRcx] : cpu.gpr[x86::kRcx] & 0xFFFFFFFF;
    // Intel faults here, with the kernel's privilege; AMD at the target.
    if (to64 && !is_canonical(rip) && !cpu.model.is_amd()) {
        cpu.raise_gp(op);
        return;
    }
    if (cpu.long_mode()) {
        cpu.set_rflags(cpu.gpr[x86::kR11] & kReturnFlags);
    } else {
        cpu.system_flags |= x86::kIf;
    }
    load_user_stack(cpu, star(cpu, 48) + 8);
    const unsigned code = to64 ? star(cpu, 48) + 16 : star(cpu, 48);
    enter_code(cpu, flat(code | 3, kCode | kDpl3 | (to64 ? kLong : kBig)), rip, 3);
    trap_at_once(cpu);
}

// AMD has SYSENTER in legacy mode only: APM vol. 3 "SYSENTER".
bool sysenter_exists(const Cpu& cpu) {
    return !(cpu.long_mode() && cpu.model.is_amd());
}

void op_sysenter(Cpu& cpu, const Op* op) {
    if (!sysenter_exists(cpu)) {
        cpu.raise_ud(op);
        return;
    }
    const auto selector = static_cast<unsigned>(cpu.msr.sysenter_cs & 0xFFFC);
    if (!cpu.protected_mode() || selector == 0) {
        cpu.raise_gp(op);
        return;
    }
    const bool long_mode = cpu.long_mode();
    const uint64_t mask = long_mode ? ~uint64_t{0} : 0xFFFFFFFF;
    cpu.system_flags &= ~static_cast<uint32_t>(x86::kIf | x86::kVm | x86::kRf);
    enter_kernel(cpu, selector, long_mode, cpu.msr.sysenter_eip & mask);
    cpu.gpr[x86::kRsp] = cpu.msr.sysenter_esp & mask;
}

void op_sysexit(Cpu& cpu, const Op* op) {
    if (!sysenter_exists(cpu)) {
        cpu.raise_ud(op);
        return;
    }
    const auto selector = static_cast<unsigned>(cpu.msr.sysenter_cs & 0xFFFC);
    if (!cpu.protected_mode() || selector == 0 || cpu.cpl != 0) {
        cpu.raise_gp(op);
        return;
    }
    const bool to64 = op->operand_size == 8;
    const uint64_t mask = to64 ? ~uint64_t{0} : 0xFFFFFFFF;
    const uint64_t rip = cpu.gpr[x86::kRdx] & mask;
    const uint64_t rsp = cpu.gpr[x86::kRcx] & mask;
    if (!is_canonical(rip) || !is_canonical(rsp)) {
        cpu.raise_gp(op);
        return;
    }
    const unsigned code = selector + (to64 ? 32 : 16);
    cpu.seg[x86::kSs] = flat((code + 8) | 3, kData | kBig | kDpl3);
    enter_code(cpu, flat(code | 3, kCode | kDpl3 | (to64 ? kLong : kBig)), rip, 3);
    cpu.gpr[x86::kRsp] = rsp;
}

}  // namespace

Handler select_fast_calls(const Decoded& decoded, Op& op) {
    Handler handler = nullptr;
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_SYSCALL: handler = op_syscall; break;
        case ZYDIS_MNEMONIC_SYSRET: handler = op_sysret; break;
        case ZYDIS_MNEMONIC_SYSENTER: handler = op_sysenter; break;
        case ZYDIS_MNEMONIC_SYSEXIT: handler = op_sysexit; break;
        default: return nullptr;
    }
    // Only REX.W tells a return to 64-bit code from one to 32-bit code.
    const bool rex_w = (decoded.instruction.attributes & ZYDIS_ATTRIB_HAS_REX) != 0 &&
                       decoded.instruction.raw.rex.W != 0;
    op.operand_size = rex_w ? 8 : 4;
    op.bits |= Op::kEndsBlock;
    return handler;
}

}  // namespace banyan::interp
