// JMP FAR and CALL FAR: code segments, call gates, task gates, TSSs. Source: Intel SDM vol. 2
// "CALL" and "JMP", vol. 3 sections 5.8 and 7.3.
#include "cpu/interp/far_transfer.hpp"

#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/stack_frame.hpp"
#include "cpu/interp/system.hpp"
#include "cpu/interp/task_switch.hpp"

namespace banyan::interp {

namespace {

struct Transfer {
    const Op* op;
    bool call;
    unsigned width;  // operand size: of what CALL pushes when no gate says otherwise
    uint16_t selector;
    uint64_t offset;
};

struct Gate {
    uint16_t selector;
    uint64_t offset;
    unsigned width;
    unsigned parameters;
};

// Both elements at once where the stack is plain memory, as it mostly is. False: nothing was done.
bool push_plainly(Cpu& cpu, const Transfer& to, unsigned width, uint64_t& sp) {
    const uint64_t top = cpu.stack_pointer();
    sp = (top - 2 * width) & cpu.stack_mask;
    if (sp > top || (width == 8 && !cpu.code64())) return false;
    std::byte* at = cpu.find_plain(x86::kSs, sp, 2 * width, Access::write);
    if (at == nullptr) return false;
    store_element(at, width, cpu.next_rip(to.op));
    store_element(at + width, width, cpu.seg[x86::kCs].selector);
    return true;
}

bool push_return_address(Cpu& cpu, const Loading& by, const Transfer& to, unsigned width,
                         uint64_t& sp) {
    if (push_plainly(cpu, to, width, sp)) return true;
    // A 64-bit gate pushes on the flat stack even when 32-bit code calls through it.
    const Stack stack =
        width == 8 ? Stack::flat64(cpu, cpu.stack_pointer(), cpu.cpl) : Stack::current(cpu);
    StackFrame frame(stack, width);
    frame.push(cpu.seg[x86::kCs].selector);
    frame.push(cpu.next_rip(to.op));
    sp = frame.sp();
    return frame.write(cpu, by, 0);
}

// Same privilege: jumps, and calls that stay on the stack.
bool transfer_same(Cpu& cpu, const Transfer& to, unsigned width, const x86::SegmentRegister& cs,
                   uint64_t rip) {
    const Loading by{.op = to.op};
    if (!check_target(cpu, by, cs, rip)) return false;
    if (to.call) {
        uint64_t sp;
        if (!push_return_address(cpu, by, to, width, sp)) return false;
        cpu.commit_rsp(sp);
    }
    enter_segment(cpu, cs, rip);
    return true;
}

bool transfer_real(Cpu& cpu, const Transfer& to) {
    if (to.offset > cpu.seg[x86::kCs].limit) return cpu.raise_gp(to.op);
    return transfer_same(cpu, to, to.width, real_segment(cpu, x86::kCs, to.selector), to.offset);
}

bool transfer_to_code(Cpu& cpu, const Transfer& to, DescriptorEntry& entry) {
    const Loading by{.op = to.op};
    const uint8_t rpl = to.selector & 3U;
    const bool allowed =
        entry.is_conforming() ? entry.dpl() <= cpu.cpl : rpl <= cpu.cpl && entry.dpl() == cpu.cpl;
    if (!entry.is_code() || !allowed) return by.fail(cpu, to.selector);
    x86::SegmentRegister cs;
    if (!prepare_code_segment(cpu, by, to.selector, cpu.cpl, entry, cs)) return false;
    return transfer_same(cpu, to, to.width, cs, to.offset);
}

// Parameters are read from the caller's stack before anything is pushed on the new one.
bool read_parameters(Cpu& cpu, const Op* op, const Gate& gate,
                     std::array<uint64_t, 31>& parameters) {
    for (unsigned i = 0; i < gate.parameters; ++i) {
        if (!peek(cpu, op, i, gate.width, parameters[i])) return false;
    }
    return true;
}

bool call_inner(Cpu& cpu, const Transfer& to, const Gate& gate, const x86::SegmentRegister& cs) {
    const Loading by{.op = to.op};
    const uint8_t cpl = cs.rpl();
    Stack stack;
    if (!read_inner_stack(cpu, by, cpl, stack)) return false;
    if (!check_target(cpu, by, cs, gate.offset)) return false;
    std::array<uint64_t, 31> parameters{};
    if (!read_parameters(cpu, to.op, gate, parameters)) return false;
    StackFrame frame(stack, gate.width);
    frame.push(cpu.seg[x86::kSs].selector);
    frame.push(cpu.gpr[x86::kRsp]);
    for (unsigned i = gate.parameters; i > 0; --i)
        frame.push(parameters[i - 1]);
    frame.push(cpu.seg[x86::kCs].selector);
    frame.push(cpu.next_rip(to.op));
    if (!frame.write(cpu, by, stack.ss.selector)) return false;
    cpu.seg[x86::kSs] = stack.ss;
    enter_code(cpu, cs, gate.offset, cpl);
    set_stack_pointer(cpu, frame.sp());
    return true;
}

bool read_gate(Cpu& cpu, const Loading& by, const Transfer& to, DescriptorEntry& entry,
               Gate& gate) {
    const bool wide = entry.low.system_type() == x86::SystemType::call_gate;
    if (!read_high_half(cpu, by, to.selector, entry)) return false;
    if (!entry.present()) return by.fail(cpu, x86::Vector::np, to.selector);
    gate.selector = entry.low.gate_selector();
    gate.offset = wide ? entry.low.gate_offset() | (entry.high << 32) : entry.low.raw & 0xFFFF;
    gate.width = cpu.long_mode() ? 8 : wide ? 4 : 2;
    gate.parameters = cpu.long_mode() ? 0U : entry.low.gate_parameters();
    return true;
}

bool transfer_through_gate(Cpu& cpu, const Transfer& to, DescriptorEntry& gate_entry) {
    const Loading by{.op = to.op};
    Gate gate{};
    if (!read_gate(cpu, by, to, gate_entry, gate)) return false;
    if (is_null(gate.selector)) return cpu.raise_gp(to.op);
    DescriptorEntry entry;
    if (!read_descriptor(cpu, by, gate.selector, entry)) return false;
    if (!entry.is_code() || entry.dpl() > cpu.cpl) return by.fail(cpu, gate.selector);
    if (cpu.long_mode() && !entry.attributes().get<x86::Attributes::Long>())
        return by.fail(cpu, gate.selector);
    const bool inner = to.call && !entry.is_conforming() && entry.dpl() < cpu.cpl;
    if (!to.call && !entry.is_conforming() && entry.dpl() != cpu.cpl)
        return by.fail(cpu, gate.selector);
    x86::SegmentRegister cs;
    const uint8_t cpl = inner ? entry.dpl() : cpu.cpl;
    if (!prepare_code_segment(cpu, by, gate.selector, cpl, entry, cs)) return false;
    if (inner) return call_inner(cpu, to, gate, cs);
    return transfer_same(cpu, to, gate.width, cs, gate.offset);
}

bool transfer_to_task(Cpu& cpu, const Transfer& to, uint16_t selector) {
    const TaskSwitch change{.op = to.op,
                            .source = to.call ? TaskSource::call : TaskSource::jump,
                            .selector = selector,
                            .return_rip = cpu.next_rip(to.op)};
    return switch_task(cpu, change);
}

bool transfer_to_system(Cpu& cpu, const Transfer& to, DescriptorEntry& entry) {
    const Loading by{.op = to.op};
    const x86::SystemType type = entry.low.system_type();
    const bool is_gate = type == x86::SystemType::call_gate ||
                         (!cpu.long_mode() && (type == x86::SystemType::call_gate16 ||
                                               type == x86::SystemType::task_gate));
    const bool is_task = !cpu.long_mode() && (type == x86::SystemType::tss_available ||
                                              type == x86::SystemType::tss16_available);
    if (!is_gate && !is_task) return by.fail(cpu, to.selector);
    if (entry.dpl() < cpu.cpl || entry.dpl() < (to.selector & 3U)) return by.fail(cpu, to.selector);
    if (is_task) return transfer_to_task(cpu, to, to.selector);
    if (type != x86::SystemType::task_gate) return transfer_through_gate(cpu, to, entry);
    if (!entry.present()) return by.fail(cpu, x86::Vector::np, to.selector);
    return transfer_to_task(cpu, to, entry.low.gate_selector());
}

void transfer(Cpu& cpu, const Transfer& to) {
    if (!cpu.protected_mode() || cpu.vm86()) {
        transfer_real(cpu, to);
        return;
    }
    DescriptorEntry entry;
    if (is_null(to.selector)) {
        cpu.raise_gp(to.op);
        return;
    }
    if (!read_descriptor(cpu, {.op = to.op}, to.selector, entry)) return;
    if (entry.is_system()) {
        transfer_to_system(cpu, to, entry);
    } else {
        transfer_to_code(cpu, to, entry);
    }
}

// op->immediate: the offset, op->displacement: the selector.
template <bool kCall>
void op_far_direct(Cpu& cpu, const Op* op) {
    transfer(cpu,
             {op, kCall, op->operand_size, static_cast<uint16_t>(op->displacement), op->immediate});
}

template <class T, bool kCall>
void op_far_indirect(Cpu& cpu, const Op* op) {
    T offset;
    uint16_t selector;
    if (!cpu.read(op, offset) || !cpu.read(op, selector, sizeof(T))) return;
    transfer(cpu, {op, kCall, sizeof(T), selector, offset});
}

template <bool kCall>
Handler select_far_indirect(const Decoded& decoded, const Op& op) {
    if (op.operand_size == 2) return op_far_indirect<uint16_t, kCall>;
    // QUIRK: AMD processors ignore REX.W here: AMD APM vol. 3 "JMP (Far)" has no 64-bit offset
    // form.
    if (op.operand_size == 4 || decoded.model.is_amd()) return op_far_indirect<uint32_t, kCall>;
    return op_far_indirect<uint64_t, kCall>;
}

}  // namespace

Handler select_far_transfers(const Decoded& decoded, Op& op) {
    const ZydisMnemonic mnemonic = decoded.instruction.mnemonic;
    if (mnemonic == ZYDIS_MNEMONIC_RET) return select_far_returns(decoded, op);
    const bool call = mnemonic == ZYDIS_MNEMONIC_CALL;
    if (!call && mnemonic != ZYDIS_MNEMONIC_JMP) return nullptr;
    if (decoded.instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) return nullptr;
    op.bits |= Op::kEndsBlock;
    const ZydisDecodedOperand& operand = decoded.operands[0];
    if (operand.type != ZYDIS_OPERAND_TYPE_POINTER)
        return call ? select_far_indirect<true>(decoded, op)
                    : select_far_indirect<false>(decoded, op);
    op.immediate = operand.ptr.offset;
    op.displacement = operand.ptr.segment;
    return call ? op_far_direct<true> : op_far_direct<false>;
}

}  // namespace banyan::interp
