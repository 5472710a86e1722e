// SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD. The host masks counts and sets flags as the
// guest's CPU would.
#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

namespace {

#define BANYAN_SHIFT_OPERATION(Name, function)                \
    struct Name {                                             \
        template <class T>                                    \
        static T apply(T a, uint8_t count, FlagWord& flags) { \
            return function<T>(a, count, flags);              \
        }                                                     \
    };
BANYAN_SHIFT_OPERATION(Shl, shl)
BANYAN_SHIFT_OPERATION(Shr, shr)
BANYAN_SHIFT_OPERATION(Sar, sar)
BANYAN_SHIFT_OPERATION(Rol, rol)
BANYAN_SHIFT_OPERATION(Ror, ror)
BANYAN_SHIFT_OPERATION(Rcl, rcl)
BANYAN_SHIFT_OPERATION(Rcr, rcr)
#undef BANYAN_SHIFT_OPERATION

template <bool kByCl>
uint8_t shift_count(const Cpu& cpu, const Op* op) {
    return kByCl ? cpu.get<uint8_t>(x86::kRcx * 8) : static_cast<uint8_t>(op->immediate);
}

template <class T, class Operation, bool kByCl>
void op_shift_register(Cpu& cpu, const Op* op) {
    FlagWord flags = cpu.arith;
    const T a = cpu.get<T>(op->destination);
    cpu.set<T>(op->destination, Operation::apply(a, shift_count<kByCl>(cpu, op), flags));
    cpu.arith = flags;
    NEXT(cpu, op);
}

template <class T, class Operation, bool kByCl>
void op_shift_memory(Cpu& cpu, const Op* op) {
    FlagWord flags = cpu.arith;
    const uint8_t count = shift_count<kByCl>(cpu, op);
    if (!cpu.modify<T>(op, [&](T a) { return Operation::apply(a, count, flags); })) return;
    cpu.arith = flags;
    NEXT(cpu, op);
}

template <class Operation>
Handler select_single(const Decoded& decoded, Op& op) {
    const bool by_cl = decoded.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
    if (op.has(Op::kHasMemory)) {
        if (by_cl) BANYAN_BY_SIZE(op.operand_size, op_shift_memory, Operation, true)
        BANYAN_BY_SIZE(op.operand_size, op_shift_memory, Operation, false)
    }
    if (by_cl) BANYAN_BY_SIZE(op.operand_size, op_shift_register, Operation, true)
    BANYAN_BY_SIZE(op.operand_size, op_shift_register, Operation, false)
}

#define BANYAN_DOUBLE_OPERATION(Name, function)                    \
    struct Name {                                                  \
        template <class T>                                         \
        static T apply(T a, T b, uint8_t count, FlagWord& flags) { \
            return function<T>(a, b, count, flags);                \
        }                                                          \
    };
BANYAN_DOUBLE_OPERATION(Shld, shld)
BANYAN_DOUBLE_OPERATION(Shrd, shrd)
#undef BANYAN_DOUBLE_OPERATION

template <class T, class Operation, bool kByCl>
void op_double_register(Cpu& cpu, const Op* op) {
    FlagWord flags = cpu.arith;
    const T a = cpu.get<T>(op->destination);
    const T b = cpu.get<T>(op->source);
    cpu.set<T>(op->destination, Operation::apply(a, b, shift_count<kByCl>(cpu, op), flags));
    cpu.arith = flags;
    NEXT(cpu, op);
}

template <class T, class Operation, bool kByCl>
void op_double_memory(Cpu& cpu, const Op* op) {
    FlagWord flags = cpu.arith;
    const T b = cpu.get<T>(op->destination);
    const uint8_t count = shift_count<kByCl>(cpu, op);
    if (!cpu.modify<T>(op, [&](T a) { return Operation::apply(a, b, count, flags); })) return;
    cpu.arith = flags;
    NEXT(cpu, op);
}

template <class Operation>
Handler select_double(const Decoded& decoded, Op& op) {
    const bool by_cl = decoded.operands[2].type == ZYDIS_OPERAND_TYPE_REGISTER;
    if (op.has(Op::kHasMemory)) {
        if (by_cl) BANYAN_BY_WIDE_SIZE(op.operand_size, op_double_memory, Operation, true)
        BANYAN_BY_WIDE_SIZE(op.operand_size, op_double_memory, Operation, false)
    }
    if (by_cl) BANYAN_BY_WIDE_SIZE(op.operand_size, op_double_register, Operation, true)
    BANYAN_BY_WIDE_SIZE(op.operand_size, op_double_register, Operation, false)
}

}  // namespace

Handler select_shift(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_SHL: return select_single<Shl>(decoded, op);
        case ZYDIS_MNEMONIC_SHR: return select_single<Shr>(decoded, op);
        case ZYDIS_MNEMONIC_SAR: return select_single<Sar>(decoded, op);
        case ZYDIS_MNEMONIC_ROL: return select_single<Rol>(decoded, op);
        case ZYDIS_MNEMONIC_ROR: return select_single<Ror>(decoded, op);
        case ZYDIS_MNEMONIC_RCL: return select_single<Rcl>(decoded, op);
        case ZYDIS_MNEMONIC_RCR: return select_single<Rcr>(decoded, op);
        case ZYDIS_MNEMONIC_SHLD: return select_double<Shld>(decoded, op);
        case ZYDIS_MNEMONIC_SHRD: return select_double<Shrd>(decoded, op);
        default: return nullptr;
    }
}

}  // namespace banyan::interp
