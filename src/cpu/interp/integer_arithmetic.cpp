// ADD, ADC, SUB, SBB, AND, OR, XOR, CMP, TEST, INC, DEC, NEG, NOT.
#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

namespace {

#define BANYAN_OPERATION(Name, function, writes)    \
    struct Name {                                   \
        static constexpr bool kWrites = writes;     \
        template <class T>                          \
        static T apply(T a, T b, FlagWord& flags) { \
            return function<T>(a, b, flags);        \
        }                                           \
    };
BANYAN_OPERATION(Add, add, true)
BANYAN_OPERATION(Adc, adc, true)
BANYAN_OPERATION(Sub, sub, true)
BANYAN_OPERATION(Sbb, sbb, true)
BANYAN_OPERATION(And, bit_and, true)
BANYAN_OPERATION(Or, bit_or, true)
BANYAN_OPERATION(Xor, bit_xor, true)
BANYAN_OPERATION(Cmp, sub, false)
BANYAN_OPERATION(Test, bit_and, false)
#undef BANYAN_OPERATION

template <class T, class Operation, Form kForm>
void op_to_register(Cpu& cpu, const Op* op) {
    T b;
    if constexpr (kForm == Form::rm) {
        if (!cpu.read(op, b)) [[unlikely]]
            return;
    } else if constexpr (kForm == Form::rr) {
        b = cpu.get<T>(op->source);
    } else {
        b = static_cast<T>(op->immediate);
    }
    const T a = cpu.get<T>(op->destination);
    FlagWord flags = cpu.arith;
    const T result = Operation::apply(a, b, flags);
    cpu.arith = flags;
    if constexpr (Operation::kWrites) cpu.set<T>(op->destination, result);
    NEXT(cpu, op);
}

template <class T, class Operation, Form kForm, bool kLocked>
void op_to_memory(Cpu& cpu, const Op* op) {
    const T b = kForm == Form::mr ? cpu.get<T>(op->destination) : static_cast<T>(op->immediate);
    FlagWord flags = cpu.arith;
    if constexpr (Operation::kWrites) {
        const auto change = [&](T a) {
            flags = cpu.arith;
            return Operation::apply(a, b, flags);
        };
        if (!cpu.modify<T, kLocked>(op, change)) [[unlikely]]
            return;
    } else {
        T a;
        if (!cpu.read(op, a)) [[unlikely]]
            return;
        Operation::apply(a, b, flags);
    }
    cpu.arith = flags;
    NEXT(cpu, op);
}

template <class Operation>
Handler select_binary(const Decoded& decoded, Op& op) {
    switch (form_of(decoded)) {
        case Form::rr: BANYAN_BY_SIZE(op.operand_size, op_to_register, Operation, Form::rr)
        case Form::rm: BANYAN_BY_SIZE(op.operand_size, op_to_register, Operation, Form::rm)
        case Form::ri: BANYAN_BY_SIZE(op.operand_size, op_to_register, Operation, Form::ri)
        case Form::mr:
            if (op.has(Op::kLock))
                BANYAN_BY_SIZE(op.operand_size, op_to_memory, Operation, Form::mr, true)
            BANYAN_BY_SIZE(op.operand_size, op_to_memory, Operation, Form::mr, false)
        case Form::mi:
            if (op.has(Op::kLock))
                BANYAN_BY_SIZE(op.operand_size, op_to_memory, Operation, Form::mi, true)
            BANYAN_BY_SIZE(op.operand_size, op_to_memory, Operation, Form::mi, false)
        default: return nullptr;
    }
}

struct Inc {
    template <class T>
    static T apply(T a, FlagWord& flags) {
        return inc<T>(a, flags);
    }
};
struct Dec {
    template <class T>
    static T apply(T a, FlagWord& flags) {
        return dec<T>(a, flags);
    }
};
struct Neg {
    template <class T>
    static T apply(T a, FlagWord& flags) {
        return neg<T>(a, flags);
    }
};
struct Not {
    template <class T>
    static T apply(T a, FlagWord&) {
        return static_cast<T>(~a);
    }
};

template <class T, class Operation>
void op_unary_register(Cpu& cpu, const Op* op) {
    FlagWord flags = cpu.arith;
    cpu.set<T>(op->destination, Operation::apply(cpu.get<T>(op->destination), flags));
    cpu.arith = flags;
    NEXT(cpu, op);
}

template <class T, class Operation, bool kLocked>
void op_unary_memory(Cpu& cpu, const Op* op) {
    FlagWord flags = cpu.arith;
    const auto change = [&](T a) {
        flags = cpu.arith;
        return Operation::apply(a, flags);
    };
    if (!cpu.modify<T, kLocked>(op, change)) [[unlikely]]
        return;
    cpu.arith = flags;
    NEXT(cpu, op);
}

template <class Operation>
Handler select_unary(const Decoded& decoded, Op& op) {
    if (form_of(decoded) == Form::r) BANYAN_BY_SIZE(op.operand_size, op_unary_register, Operation)
    if (op.has(Op::kLock)) BANYAN_BY_SIZE(op.operand_size, op_unary_memory, Operation, true)
    BANYAN_BY_SIZE(op.operand_size, op_unary_memory, Operation, false)
}

}  // namespace

Handler select_arithmetic(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_ADD: return select_binary<Add>(decoded, op);
        case ZYDIS_MNEMONIC_ADC: return select_binary<Adc>(decoded, op);
        case ZYDIS_MNEMONIC_SUB: return select_binary<Sub>(decoded, op);
        case ZYDIS_MNEMONIC_SBB: return select_binary<Sbb>(decoded, op);
        case ZYDIS_MNEMONIC_AND: return select_binary<And>(decoded, op);
        case ZYDIS_MNEMONIC_OR: return select_binary<Or>(decoded, op);
        case ZYDIS_MNEMONIC_XOR: return select_binary<Xor>(decoded, op);
        case ZYDIS_MNEMONIC_CMP: return select_binary<Cmp>(decoded, op);
        case ZYDIS_MNEMONIC_TEST: return select_binary<Test>(decoded, op);
        case ZYDIS_MNEMONIC_INC: return select_unary<Inc>(decoded, op);
        case ZYDIS_MNEMONIC_DEC: return select_unary<Dec>(decoded, op);
        case ZYDIS_MNEMONIC_NEG: return select_unary<Neg>(decoded, op);
        case ZYDIS_MNEMONIC_NOT: return select_unary<Not>(decoded, op);
        default: return nullptr;
    }
}

}  // namespace banyan::interp
