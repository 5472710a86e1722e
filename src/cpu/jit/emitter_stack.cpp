// The stack: through the window, where RSP is a host address and nothing needs a check, or through
// the TLB.
#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

// Has [RSP + low, RSP + high) in the window from here on; what does not fit is left to the region
// without a window. Changes flags.
void Emitter::check_window(int32_t low, int32_t high, uint64_t rip) {
    const Label miss = new_label();
    const Label in_window = new_label();
    a_.lea(kT0, x86a::ptr(kStack, low));
    a_.sub(kT0, state(kStackLowAt));
    a_.cmp(kT0, static_cast<int32_t>(kPageSize) - (high - low));
    a_.ja(miss);
    a_.bind(in_window);
    const auto number = new_link(rip);
    later([=, this] {
        const Label out = new_label();
        const Label jump_end = new_label();
        a_.bind(miss);
        a_.lea(kT0, x86a::ptr(kStack, low));
        a_.mov(kT1.r32(), high - low);
        a_.call(std::bit_cast<uint64_t>(stubs_.move_window[static_cast<unsigned>(view_)]));
        a_.jz(in_window);
        a_.long_().jmp(out);
        a_.bind(jump_end);
        a_.bind(out);
        set_rip(rip);
        a_.mov(kT1.r32(), number);
        a_.jmp(std::bit_cast<uint64_t>(stubs_.exit_stack));
        pending_links_.push_back({number, jump_end, out, {}, {}, {}});
    });
}

void Emitter::linear_rsp(const x86a::Gp& to, int32_t displacement) {
    a_.mov(to, state(kStackSubtrahendAt));
    a_.lea(to, x86a::ptr(to, kStack, 0, displacement));
}

x86a::Mem Emitter::stack_slot(const Instruction& instruction, int32_t displacement, bool write,
                              const Label& done) {
    if (window_) return x86a::ptr(kStack, displacement, 8);
    const Label slow = new_label();
    linear_rsp(kT0, displacement);
    check(8, write, false, slow);
    slow_way(instruction, slow, done);
    return x86a::ptr(kT0, 0, 8);
}

// `value` is a register other than T0, or an immediate.
void Emitter::push_value(const Instruction& instruction, const asmjit::Operand& value,
                         const Label& done) {
    if (!window_) keep_flags(instruction);
    const x86a::Mem slot = stack_slot(instruction, -8, true, done);
    a_.emit(x86a::Inst::kIdMov, slot, value);
    a_.lea(kStack, x86a::ptr(kStack, -8));
}

void Emitter::emit_push(const Instruction& instruction) {
    const ZydisDecodedOperand& operand = instruction.operands[0];
    const Label done = new_label();
    if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        push_value(instruction, asmjit::Imm(static_cast<int32_t>(operand.imm.value.s)), done);
    } else if (instruction.memory >= 0) {
        if (!window_) return emit_interpreted(instruction);
        const HostAddress from = memory_operand(instruction, done);
        a_.mov(kT1, x86a::ptr(host_gpr(from.base), from.displacement, 8));
        push_value(instruction, kT1, done);
    } else {
        const unsigned number = instruction.op->destination / 8U;
        if (!window_ && !in_register(number)) return emit_interpreted(instruction);
        push_value(instruction, read_gpr(number, kT1), done);
    }
    join(instruction, done);
}

void Emitter::emit_pop(const Instruction& instruction) {
    const unsigned number = instruction.op->destination / 8U;
    const Label done = new_label();
    if (!window_) keep_flags(instruction);
    const x86a::Mem top = stack_slot(instruction, 0, false, done);
    if (in_register(number)) {
        a_.mov(host_gpr(number), top);
    } else {
        a_.mov(kT1, top);
        write_gpr(number, kT1);
    }
    a_.lea(kStack, x86a::ptr(kStack, 8));
    join(instruction, done);
}

// The host's RSP differs from the guest's, and so would the flags: they are made with a copy.
void Emitter::emit_move_stack(const Instruction& instruction) {
    const bool lea = instruction.zydis.mnemonic == ZYDIS_MNEMONIC_LEA;
    if (!lea && instruction.flags_live_out != 0) make_stack_flags(instruction);
    a_.lea(kStack, x86a::ptr(kStack, instruction.stack_change));
}

void Emitter::make_stack_flags(const Instruction& instruction) {
    linear_rsp(kT1, 0);
    const auto by = static_cast<int32_t>(instruction.operands[1].imm.value.s);
    if (instruction.zydis.mnemonic == ZYDIS_MNEMONIC_ADD) {
        a_.add(kT1, by);
    } else {
        a_.sub(kT1, by);
    }
    note_changed_flags(instruction);
}

}  // namespace banyan::jit
