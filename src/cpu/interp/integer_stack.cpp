// PUSH, POP, PUSHA, POPA, ENTER, LEAVE (segment registers and flags are the system family's).
#include "cpu/interp/integer_forms.hpp"
#include "cpu/interp/stack.hpp"

namespace banyan::interp {

namespace {

template <class T>
void op_push_register(Cpu& cpu, const Op* op) {
    if (!push(cpu, op, cpu.get<T>(op->destination))) [[unlikely]]
        return;
    NEXT(cpu, op);
}

template <class T>
void op_push_immediate(Cpu& cpu, const Op* op) {
    if (!push(cpu, op, static_cast<T>(op->immediate))) return;
    NEXT(cpu, op);
}

template <class T>
void op_push_memory(Cpu& cpu, const Op* op) {
    T value;
    if (!cpu.read(op, value)) return;
    if (!push(cpu, op, value)) return;
    NEXT(cpu, op);
}

template <class T>
void op_pop_register(Cpu& cpu, const Op* op) {
    T value;
    if (!pop(cpu, op, value)) [[unlikely]]
        return;
    cpu.set<T>(op->destination, value);
    NEXT(cpu, op);
}

// An address that uses RSP sees it already incremented (Intel SDM vol. 2, POP).
template <class T>
void op_pop_memory(Cpu& cpu, const Op* op) {
    const uint64_t old_rsp = cpu.gpr[x86::kRsp];
    T value;
    if (!pop(cpu, op, value)) return;
    if (!cpu.write(op, value)) {
        cpu.gpr[x86::kRsp] = old_rsp;
        return;
    }
    NEXT(cpu, op);
}

Handler select_push(const Decoded& decoded, Op& op) {
    switch (form_of(decoded)) {
        case Form::r:
            if (op.destination == kNoOperand) return nullptr;
            BANYAN_BY_WIDE_SIZE(op.operand_size, op_push_register)
        case Form::m: BANYAN_BY_WIDE_SIZE(op.operand_size, op_push_memory)
        case Form::other: BANYAN_BY_WIDE_SIZE(op.operand_size, op_push_immediate)
        default: return nullptr;
    }
}

Handler select_pop(const Decoded& decoded, Op& op) {
    if (form_of(decoded) == Form::m) BANYAN_BY_WIDE_SIZE(op.operand_size, op_pop_memory)
    if (op.destination == kNoOperand) return nullptr;
    BANYAN_BY_WIDE_SIZE(op.operand_size, op_pop_register)
}

// All eight values are stored below RSP, which moves only at the end.
template <class T>
void op_pusha(Cpu& cpu, const Op* op) {
    uint64_t top = cpu.stack_pointer();
    for (unsigned r = 0; r < 8; ++r) {
        top = (top - sizeof(T)) & cpu.stack_mask;
        if (!cpu.write_segment(op, x86::kSs, top, cpu.get<T>(static_cast<uint8_t>(r * 8)))) return;
    }
    cpu.commit_rsp(top);
    NEXT(cpu, op);
}

template <class T>
void op_popa(Cpu& cpu, const Op* op) {
    std::array<T, 8> values{};
    uint64_t top = cpu.stack_pointer();
    for (unsigned r = 0; r < 8; ++r) {
        if (!cpu.read_segment(op, x86::kSs, top, values[7 - r])) return;
        top = (top + sizeof(T)) & cpu.stack_mask;
    }
    for (unsigned r = 0; r < 8; ++r) {
        if (r != x86::kRsp) cpu.set<T>(static_cast<uint8_t>(r * 8), values[r]);
    }
    cpu.commit_rsp(top);
    NEXT(cpu, op);
}

// Intel SDM vol. 2, ENTER: frame pointer, the outer frames' pointers, room for locals.
template <class T>
void op_enter(Cpu& cpu, const Op* op) {
    const uint64_t locals = op->immediate & 0xFFFF;
    const unsigned nesting = static_cast<unsigned>(op->immediate >> 16) & 31U;
    uint64_t top = (cpu.stack_pointer() - sizeof(T)) & cpu.stack_mask;
    if (!cpu.write_segment(op, x86::kSs, top, cpu.get<T>(x86::kRbp * 8))) return;
    const T frame = static_cast<T>(top);
    uint64_t outer = cpu.gpr[x86::kRbp] & cpu.stack_mask;
    for (unsigned level = 1; level < nesting; ++level) {
        outer = (outer - sizeof(T)) & cpu.stack_mask;
        T pointer;
        if (!cpu.read_segment(op, x86::kSs, outer, pointer)) return;
        top = (top - sizeof(T)) & cpu.stack_mask;
        if (!cpu.write_segment(op, x86::kSs, top, pointer)) return;
    }
    if (nesting != 0) {
        top = (top - sizeof(T)) & cpu.stack_mask;
        if (!cpu.write_segment(op, x86::kSs, top, frame)) return;
    }
    const uint64_t bottom = (top - locals) & cpu.stack_mask;
    uint64_t linear;  // the new top must be writable
    if (!cpu.segment_address(op, x86::kSs, bottom, sizeof(T), Access::write, linear)) return;
    if (!cpu.probe(op, linear, sizeof(T), Access::write, cpu.view)) return;
    cpu.set<T>(x86::kRbp * 8, frame);
    cpu.commit_rsp(bottom);
    NEXT(cpu, op);
}

template <class T>
void op_leave(Cpu& cpu, const Op* op) {
    const uint64_t top = cpu.gpr[x86::kRbp] & cpu.stack_mask;
    T value;
    if (!read_stack(cpu, op, top, value)) return;
    cpu.commit_rsp(top + sizeof(T));
    cpu.set<T>(x86::kRbp * 8, value);
    NEXT(cpu, op);
}

Handler select_enter(const Decoded& decoded, Op& op) {
    op.immediate =
        (decoded.operands[0].imm.value.u & 0xFFFF) | (decoded.operands[1].imm.value.u << 16);
    BANYAN_BY_WIDE_SIZE(op.operand_size, op_enter)
}

}  // namespace

Handler select_stack(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_PUSH: return select_push(decoded, op);
        case ZYDIS_MNEMONIC_POP: return select_pop(decoded, op);
        case ZYDIS_MNEMONIC_PUSHA: return op_pusha<uint16_t>;
        case ZYDIS_MNEMONIC_PUSHAD: return op_pusha<uint32_t>;
        case ZYDIS_MNEMONIC_POPA: return op_popa<uint16_t>;
        case ZYDIS_MNEMONIC_POPAD: return op_popa<uint32_t>;
        case ZYDIS_MNEMONIC_ENTER: return select_enter(decoded, op);
        case ZYDIS_MNEMONIC_LEAVE: BANYAN_BY_WIDE_SIZE(op.operand_size, op_leave)
        default: return nullptr;
    }
}

}  // namespace banyan::interp
