// PUSHF, POPF, CLI, STI, CLAC, STAC. Source: Intel SDM vol. 2.
#include <type_traits>

#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/stack_frame.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

// Virtual-8086 code below IOPL 3 must not touch IF: vol. 3 section 21.2.7.
bool flags_protected(const Cpu& cpu) {
    return cpu.vm86() && cpu.iopl() < 3;
}

template <class T>
void op_pushf(Cpu& cpu, const Op* op) {
    if (flags_protected(cpu)) {
        cpu.raise_gp(op);
        return;
    }
    const uint64_t sp = (cpu.stack_pointer() - sizeof(T)) & cpu.stack_mask;
    const uint64_t flags = cpu.rflags() & ~uint64_t{x86::kRf | x86::kVm};
    if (!cpu.write_segment(op, x86::kSs, sp, static_cast<T>(flags))) return;
    cpu.commit_rsp(sp);
    NEXT(cpu, op);
}

template <class T>
uint32_t writable_flags(const Cpu& cpu) {
    uint32_t writable = x86::kArithmeticFlags | x86::kTf | x86::kDf | x86::kNt;
    if (cpu.cpl <= cpu.iopl()) writable |= x86::kIf;
    if (cpu.cpl == 0) writable |= x86::kIopl;
    // The wide forms clear RF, and outside virtual-8086 mode VIF and VIP, whatever was popped.
    if constexpr (sizeof(T) != 2) {
        writable |= x86::kAc | x86::kId | x86::kRf;
        if (!cpu.vm86()) writable |= x86::kVif | x86::kVip;
    }
    return writable;
}

template <class T>
void op_popf(Cpu& cpu, const Op* op) {
    if (flags_protected(cpu)) {
        cpu.raise_gp(op);
        return;
    }
    T popped;
    if (!cpu.read_segment(op, x86::kSs, cpu.stack_pointer(), popped)) return;
    cpu.commit_rsp(cpu.stack_pointer() + sizeof(T));
    const uint32_t writable = writable_flags<T>(cpu);
    const uint32_t old = cpu.system_flags;
    const uint64_t loaded = popped & ~uint64_t{x86::kRf | x86::kVif | x86::kVip} & writable;
    cpu.set_rflags((cpu.rflags() & ~uint64_t{writable}) | loaded);
    cpu.finish(op);
    if (((old ^ cpu.system_flags) & (x86::kTf | x86::kAc)) != 0) {
        cpu.mode_changed();
    } else {
        cpu.unpark_interrupt();
    }
}

bool may_change_if(Cpu& cpu, const Op* op) {
    return cpu.cpl <= cpu.iopl() || cpu.raise_gp(op);
}

void op_cli(Cpu& cpu, const Op* op) {
    if (!may_change_if(cpu, op)) return;
    cpu.system_flags &= ~static_cast<uint32_t>(x86::kIf);
    cpu.unpark_interrupt();
    NEXT(cpu, op);
}

// Interrupts stay off for one more instruction, if they were off: Intel SDM vol. 3 section 6.8.3.
// That one is mostly the rest of the block, behind which events are looked at.
void op_sti(Cpu& cpu, const Op* op) {
    if (!may_change_if(cpu, op)) return;
    const bool was_off = !cpu.flag(x86::kIf);
    cpu.system_flags |= x86::kIf;
    cpu.unpark_interrupt();
    if (op->has(Op::kFollowed)) NEXT(cpu, op);
    cpu.shadow_next = was_off;
    cpu.finish(op);
}

template <bool kSet>
void op_set_ac(Cpu& cpu, const Op* op) {
    if (!cpu.model.has(Feature::smap) || cpu.cpl != 0) {
        cpu.raise_ud(op);
        return;
    }
    cpu.system_flags =
        kSet ? cpu.system_flags | x86::kAc : cpu.system_flags & ~static_cast<uint32_t>(x86::kAc);
    cpu.finish(op);
    cpu.mode_changed();
}

}  // namespace

Handler select_flag_control(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_PUSHF: return op_pushf<uint16_t>;
        case ZYDIS_MNEMONIC_PUSHFD: return op_pushf<uint32_t>;
        case ZYDIS_MNEMONIC_PUSHFQ: return op_pushf<uint64_t>;
        case ZYDIS_MNEMONIC_CLI: return op_cli;
        case ZYDIS_MNEMONIC_STI: op.bits |= Op::kShadow; return op_sti;
        default: break;
    }
    Handler handler = nullptr;
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_POPF: handler = op_popf<uint16_t>; break;
        case ZYDIS_MNEMONIC_POPFD: handler = op_popf<uint32_t>; break;
        case ZYDIS_MNEMONIC_POPFQ: handler = op_popf<uint64_t>; break;
        case ZYDIS_MNEMONIC_STAC: handler = op_set_ac<true>; break;
        case ZYDIS_MNEMONIC_CLAC: handler = op_set_ac<false>; break;
        default: return nullptr;
    }
    op.bits |= Op::kEndsBlock;
    return handler;
}

}  // namespace banyan::interp
