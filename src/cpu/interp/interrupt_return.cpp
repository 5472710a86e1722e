// IRET. Source: Intel SDM vol. 2 "IRET/IRETD/IRETQ", vol. 3 section 21.2 (virtual-8086 mode).
#include "cpu/interp/debug.hpp"
#include "cpu/interp/far_transfer.hpp"
#include "cpu/interp/system.hpp"
#include "cpu/interp/task_switch.hpp"

namespace banyan::interp {

namespace {

struct ReturnFrame {
    uint64_t rip = 0;
    uint16_t selector = 0;
    uint64_t flags = 0;
};

bool read_frame(Cpu& cpu, const Op* op, ReturnFrame& frame) {
    std::array<uint64_t, 3> top{};
    if (!peek_top(cpu, op, op->operand_size, top)) return false;
    frame = {.rip = top[0], .selector = static_cast<uint16_t>(top[1]), .flags = top[2]};
    return true;
}

// `writable`: the flags that this return may change; the others stay.
void load_flags(Cpu& cpu, uint64_t flags, uint32_t writable) {
    cpu.set_rflags((cpu.rflags() & ~uint64_t{writable}) | (flags & writable));
    set_resume_flag(cpu, (flags & writable & x86::kRf) != 0);
}

// Which flags code of privilege `cpl` loads: the pseudo-code of IRET.
uint32_t writable_flags(const Cpu& cpu, unsigned width) {
    uint32_t writable = x86::kArithmeticFlags | x86::kTf | x86::kDf | x86::kNt;
    if (width != 2) writable |= x86::kRf | x86::kAc | x86::kId;
    if (cpu.cpl <= cpu.iopl()) writable |= x86::kIf;
    if (cpu.cpl == 0) writable |= x86::kIopl;
    if (cpu.cpl == 0 && width != 2) writable |= x86::kVif | x86::kVip;
    return writable;
}

// Real mode, and virtual-8086 mode with IOPL 3, which leaves VM, IOPL, VIF and VIP alone.
void return_real(Cpu& cpu, const Op* op) {
    ReturnFrame frame;
    if (!read_frame(cpu, op, frame)) return;
    if (frame.rip > cpu.seg[x86::kCs].limit) {
        cpu.raise_gp(op);
        return;
    }
    uint32_t writable = x86::kArithmeticFlags | x86::kTf | x86::kIf | x86::kDf | x86::kNt;
    if (op->operand_size == 4) writable |= x86::kRf | x86::kAc | x86::kId;
    if (!cpu.vm86()) writable |= x86::kIopl;
    cpu.commit_rsp(cpu.stack_pointer() + 3U * op->operand_size);
    load_flags(cpu, frame.flags, writable);
    enter_code(cpu, real_segment(cpu, x86::kCs, frame.selector), frame.rip, cpu.cpl);
}

void return_to_vm86(Cpu& cpu, const Op* op, const ReturnFrame& frame) {
    std::array<uint64_t, 6> rest;  // ESP, SS, ES, DS, FS, GS
    for (unsigned i = 0; i < rest.size(); ++i) {
        if (!peek(cpu, op, 3 + i, 4, rest[i])) return;
    }
    if (frame.rip > 0xFFFF) {
        cpu.raise_gp(op);
        return;
    }
    cpu.set_rflags(frame.flags);
    set_resume_flag(cpu, (frame.flags & x86::kRf) != 0);
    const auto load = [&](x86::Segment segment, uint64_t selector) {
        cpu.seg[segment] = real_segment(cpu, segment, static_cast<uint16_t>(selector));
    };
    load(x86::kSs, rest[1]);
    load(x86::kEs, rest[2]);
    load(x86::kDs, rest[3]);
    load(x86::kFs, rest[4]);
    load(x86::kGs, rest[5]);
    enter_code(cpu, real_segment(cpu, x86::kCs, frame.selector), frame.rip, 3);
    cpu.gpr[x86::kRsp] = rest[0];
}

// Intel SDM vol. 3 section 7.4.
void return_from_task(Cpu& cpu, const Op* op) {
    uint16_t link;
    if (!cpu.read_system(op, cpu.tr.base, link)) return;
    if (!switch_task(cpu, {.op = op,
                           .source = TaskSource::iret,
                           .selector = link,
                           .return_rip = cpu.next_rip(op)})) {
        return;  // a fault is pending
    }
}

void return_protected(Cpu& cpu, const Op* op) {
    ReturnFrame frame;
    if (!read_frame(cpu, op, frame)) return;
    if (!cpu.long_mode() && op->operand_size == 4 && (frame.flags & x86::kVm) != 0 &&
        cpu.cpl == 0) {
        return_to_vm86(cpu, op, frame);
        return;
    }
    x86::SegmentRegister cs;
    if (!prepare_return_code(cpu, op, frame.selector, cs)) return;
    const bool outer = cs.rpl() > cpu.cpl;
    const bool pops_stack = outer || cpu.code64();
    uint64_t sp = cpu.stack_pointer() + 3U * op->operand_size;
    x86::SegmentRegister ss = cpu.seg[x86::kSs];
    if (pops_stack) {
        uint64_t selector;
        if (!peek(cpu, op, 3, op->operand_size, sp) ||
            !peek(cpu, op, 4, op->operand_size, selector))
            return;
        if (!prepare_return_stack(cpu, op, static_cast<uint16_t>(selector), cs, ss)) return;
    }
    if (!check_target(cpu, {.op = op}, cs, frame.rip)) return;
    const uint32_t writable = writable_flags(cpu, op->operand_size);
    cpu.seg[x86::kSs] = ss;
    load_flags(cpu, frame.flags, writable);
    enter_code(cpu, cs, frame.rip, cs.rpl());
    if (pops_stack) {
        set_stack_pointer(cpu, sp);
    } else {
        cpu.commit_rsp(sp);
    }
    if (outer) drop_inner_segments(cpu);
}

void op_iret(Cpu& cpu, const Op* op) {
    // Even an IRET that faults ends the blocking of NMIs: Intel SDM vol. 3 section 6.7.1.
    cpu.pending.nmi_blocked = false;
    Cpu::serialise();
    if (!cpu.protected_mode() || (cpu.vm86() && cpu.iopl() == 3)) {
        return_real(cpu, op);
    } else if (cpu.vm86()) {
        cpu.raise_gp(op);
    } else if (!cpu.flag(x86::kNt)) {
        return_protected(cpu, op);
    } else if (cpu.long_mode()) {
        cpu.raise_gp(op);
    } else {
        return_from_task(cpu, op);
    }
}

}  // namespace

Handler select_interrupt_return(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_IRET: op.operand_size = 2; break;
        case ZYDIS_MNEMONIC_IRETD: op.operand_size = 4; break;
        case ZYDIS_MNEMONIC_IRETQ: op.operand_size = 8; break;
        default: return nullptr;
    }
    op.bits |= Op::kEndsBlock;
    return op_iret;
}

}  // namespace banyan::interp
