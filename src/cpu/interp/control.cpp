// Near branches: JMP, Jcc, CALL, RET, LOOP, JCXZ; and what else looks at conditions: CMOVcc, SETcc.
#include <utility>

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/stack.hpp"

namespace banyan::interp {

namespace {

// A near branch must land inside the code segment (or be canonical): #GP before anything has
// changed.
[[nodiscard]] bool may_branch(Cpu& cpu, const Op* op, uint64_t target) {
    if (cpu.mode.has(Mode::kCode64)) {
        const bool canonical =
            static_cast<uint64_t>(static_cast<int64_t>(target << 16) >> 16) == target;
        return canonical || cpu.raise_gp(op);
    }
    return target <= cpu.seg[x86::kCs].limit || cpu.raise_gp(op);
}

template <unsigned kCondition>
void op_jcc(Cpu& cpu, const Op* op) {
    if (condition_holds<kCondition>(cpu.arith)) {
        if (!may_branch(cpu, op, op->immediate)) [[unlikely]]
            return;
        cpu.rip = op->immediate;
    } else {
        cpu.finish(op);
    }
}

void op_jmp(Cpu& cpu, const Op* op) {
    if (!may_branch(cpu, op, op->immediate)) [[unlikely]]
        return;
    cpu.rip = op->immediate;
}

// The target of an indirect branch.
template <class T>
[[nodiscard]] bool load_target(Cpu& cpu, const Op* op, T& target) {
    if (op->has(Op::kHasMemory)) return cpu.read(op, target);
    target = cpu.get<T>(op->destination);
    return true;
}

template <class T>
void op_jmp_indirect(Cpu& cpu, const Op* op) {
    T target;
    if (!load_target(cpu, op, target) || !may_branch(cpu, op, target)) [[unlikely]]
        return;
    cpu.rip = target;
}

template <class T>
void op_call(Cpu& cpu, const Op* op) {
    if (!may_branch(cpu, op, op->immediate)) [[unlikely]]
        return;
    if (!push(cpu, op, static_cast<T>(cpu.next_rip(op)))) [[unlikely]]
        return;
    cpu.rip = op->immediate;
}

template <class T>
void op_call_indirect(Cpu& cpu, const Op* op) {
    T target;
    if (!load_target(cpu, op, target) || !may_branch(cpu, op, target)) [[unlikely]]
        return;
    if (!push(cpu, op, static_cast<T>(cpu.next_rip(op)))) [[unlikely]]
        return;
    cpu.rip = target;
}

template <class T>
void op_ret(Cpu& cpu, const Op* op) {
    const uint64_t top = cpu.stack_pointer();
    T target;
    if (!read_stack(cpu, op, top, target) || !may_branch(cpu, op, target)) [[unlikely]]
        return;
    cpu.commit_rsp(top + sizeof(T) + (op->immediate & 0xFFFF));
    cpu.rip = target;
}

// LOOP, LOOPE, LOOPNE: the address size says which of CX, ECX, RCX counts.
enum class LoopKind : uint8_t { loop, while_equal, while_not_equal, if_zero };

template <class Counter, LoopKind kKind>
void op_loop(Cpu& cpu, const Op* op) {
    constexpr auto kRcxAt = static_cast<uint8_t>(x86::kRcx * 8);
    auto count = cpu.get<Counter>(kRcxAt);
    if constexpr (kKind != LoopKind::if_zero) --count;
    bool taken = kKind == LoopKind::if_zero ? count == 0 : count != 0;
    if constexpr (kKind == LoopKind::while_equal) taken = taken && (cpu.arith & kFlagWordZf) != 0;
    if constexpr (kKind == LoopKind::while_not_equal)
        taken = taken && (cpu.arith & kFlagWordZf) == 0;
    if (taken && !may_branch(cpu, op, op->immediate)) return;
    if constexpr (kKind != LoopKind::if_zero) cpu.set<Counter>(kRcxAt, count);
    if (taken)
        cpu.rip = op->immediate;
    else
        cpu.finish(op);
}

template <LoopKind kKind>
Handler select_loop(const Decoded& decoded) {
    switch (decoded.instruction.address_width) {
        case 16: return op_loop<uint16_t, kKind>;
        case 32: return op_loop<uint32_t, kKind>;
        default: return op_loop<uint64_t, kKind>;
    }
}

// The memory operand is read even when the condition does not hold; a 32-bit destination is always
// widened.
template <unsigned kCondition, class T>
void op_cmov(Cpu& cpu, const Op* op) {
    T value;
    if (op->has(Op::kHasMemory)) {
        if (!cpu.read(op, value)) [[unlikely]]
            return;
    } else {
        value = cpu.get<T>(op->source);
    }
    const T old = cpu.get<T>(op->destination);
    cpu.set<T>(op->destination, condition_holds<kCondition>(cpu.arith) ? value : old);
    NEXT(cpu, op);
}

template <unsigned kCondition>
void op_set_register(Cpu& cpu, const Op* op) {
    cpu.set<uint8_t>(op->destination, condition_holds<kCondition>(cpu.arith) ? 1 : 0);
    NEXT(cpu, op);
}

template <unsigned kCondition>
void op_set_memory(Cpu& cpu, const Op* op) {
    const uint8_t value = condition_holds<kCondition>(cpu.arith) ? 1 : 0;
    if (!cpu.write(op, value)) return;
    NEXT(cpu, op);
}

struct ConditionHandlers {
    Handler jump;
    Handler cmov16;
    Handler cmov32;
    Handler cmov64;
    Handler set_register;
    Handler set_memory;
};

template <size_t... kConditions>
constexpr std::array<ConditionHandlers, 16> make_table(std::index_sequence<kConditions...>) {
    return {ConditionHandlers{op_jcc<kConditions>, op_cmov<kConditions, uint16_t>,
                              op_cmov<kConditions, uint32_t>, op_cmov<kConditions, uint64_t>,
                              op_set_register<kConditions>, op_set_memory<kConditions>}...};
}
constexpr auto kByCondition = make_table(std::make_index_sequence<16>());

// The condition is in the low four bits of the opcode, in all three groups.
const ConditionHandlers& by_condition(const Decoded& decoded) {
    return kByCondition[decoded.instruction.opcode & 15];
}

Handler select_cmov(const Decoded& decoded, const Op& op) {
    const ConditionHandlers& handlers = by_condition(decoded);
    if (op.operand_size == 2) return handlers.cmov16;
    return op.operand_size == 4 ? handlers.cmov32 : handlers.cmov64;
}

#define BANYAN_NEAR(name)               \
    switch (op.operand_size) {          \
        case 2: return name<uint16_t>;  \
        case 4: return name<uint32_t>;  \
        default: return name<uint64_t>; \
    }

bool is_far(const Decoded& decoded) {
    return decoded.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}
bool is_direct(const Decoded& decoded) {
    return decoded.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

Handler select_jmp(const Decoded& decoded, Op& op) {
    if (is_direct(decoded)) return op_jmp;
    BANYAN_NEAR(op_jmp_indirect)
}
Handler select_call(const Decoded& decoded, Op& op) {
    if (is_direct(decoded)) BANYAN_NEAR(op_call)
    BANYAN_NEAR(op_call_indirect)
}
Handler select_ret(Op& op){BANYAN_NEAR(op_ret)}
#undef BANYAN_NEAR

Handler select_branch(const Decoded& decoded, Op& op) {
    if (is_far(decoded)) return nullptr;
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_JMP: return select_jmp(decoded, op);
        case ZYDIS_MNEMONIC_CALL: return select_call(decoded, op);
        case ZYDIS_MNEMONIC_RET: return select_ret(op);
        case ZYDIS_MNEMONIC_LOOP: return select_loop<LoopKind::loop>(decoded);
        case ZYDIS_MNEMONIC_LOOPE: return select_loop<LoopKind::while_equal>(decoded);
        case ZYDIS_MNEMONIC_LOOPNE: return select_loop<LoopKind::while_not_equal>(decoded);
        case ZYDIS_MNEMONIC_JCXZ:
        case ZYDIS_MNEMONIC_JECXZ:
        case ZYDIS_MNEMONIC_JRCXZ: return select_loop<LoopKind::if_zero>(decoded);
        default:
            return decoded.instruction.meta.category == ZYDIS_CATEGORY_COND_BR
                       ? by_condition(decoded).jump
                       : nullptr;
    }
}

}  // namespace

Handler select_control(const Decoded& decoded, Op& op) {
    const ZydisInstructionCategory category = decoded.instruction.meta.category;
    if (category == ZYDIS_CATEGORY_CMOV) return select_cmov(decoded, op);
    if (category == ZYDIS_CATEGORY_SETCC) {
        return op.has(Op::kHasMemory) ? by_condition(decoded).set_memory
                                      : by_condition(decoded).set_register;
    }
    const Handler branch = select_branch(decoded, op);
    if (branch != nullptr) op.bits |= Op::kEndsBlock;
    return branch;
}

}  // namespace banyan::interp
