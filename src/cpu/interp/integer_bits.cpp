// BT, BTS, BTR, BTC, BSF, BSR.
#include <type_traits>

#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

namespace {

#define BANYAN_BIT_OPERATION(Name, mnemonic, writes)                                           \
    struct Name {                                                                              \
        static constexpr bool kWrites = writes;                                                \
        template <class T>                                                                     \
        static T apply(T a, T index, FlagWord& flags) {                                        \
            uint64_t ax = flags;                                                               \
            __asm__("addb $0x7F, %%al\n\tsahf\n\t" mnemonic " %[i], %[a]\n\tlahf\n\tseto %%al" \
                    : [a] "+r"(a), "+&a"(ax)                                                   \
                    : [i] "r"(index)                                                           \
                    : "cc");                                                                   \
            flags = static_cast<FlagWord>(ax);                                                 \
            return a;                                                                          \
        }                                                                                      \
    };
BANYAN_BIT_OPERATION(Bt, "bt", false)
BANYAN_BIT_OPERATION(Bts, "bts", true)
BANYAN_BIT_OPERATION(Btr, "btr", true)
BANYAN_BIT_OPERATION(Btc, "btc", true)
#undef BANYAN_BIT_OPERATION

template <class T, class Operation, bool kImmediate>
void op_bit_register(Cpu& cpu, const Op* op) {
    const T index = kImmediate ? static_cast<T>(op->immediate) : cpu.get<T>(op->source);
    const T result = Operation::apply(cpu.get<T>(op->destination), index, cpu.arith);
    if constexpr (Operation::kWrites) cpu.set<T>(op->destination, result);
    NEXT(cpu, op);
}

// A register index reaches any bit of a string that starts at the operand's address (Intel SDM vol.
// 2, BT).
template <class T, class Operation, bool kImmediate, bool kLocked>
void op_bit_memory(Cpu& cpu, const Op* op) {
    const T index = kImmediate ? static_cast<T>(op->immediate) : cpu.get<T>(op->destination);
    uint64_t displaced = 0;
    if constexpr (!kImmediate) {
        const auto whole = static_cast<int64_t>(static_cast<std::make_signed_t<T>>(index));
        constexpr unsigned kLog = sizeof(T) == 2 ? 4 : sizeof(T) == 4 ? 5 : 6;
        displaced = static_cast<uint64_t>(whole >> kLog) * sizeof(T);
    }
    FlagWord flags = cpu.arith;
    if constexpr (Operation::kWrites) {
        const auto change = [&](T a) { return Operation::apply(a, index, flags); };
        if (!cpu.modify<T, kLocked>(op, change, displaced)) return;
    } else {
        T a;
        if (!cpu.read(op, a, displaced)) return;
        Operation::apply(a, index, flags);
    }
    cpu.arith = flags;
    NEXT(cpu, op);
}

template <class Operation>
Handler select_bit(const Decoded& decoded, Op& op) {
    switch (form_of(decoded)) {
        case Form::rr: BANYAN_BY_WIDE_SIZE(op.operand_size, op_bit_register, Operation, false)
        case Form::ri: BANYAN_BY_WIDE_SIZE(op.operand_size, op_bit_register, Operation, true)
        case Form::mr:
            if (op.has(Op::kLock))
                BANYAN_BY_WIDE_SIZE(op.operand_size, op_bit_memory, Operation, false, true)
            BANYAN_BY_WIDE_SIZE(op.operand_size, op_bit_memory, Operation, false, false)
        case Form::mi:
            if (op.has(Op::kLock))
                BANYAN_BY_WIDE_SIZE(op.operand_size, op_bit_memory, Operation, true, true)
            BANYAN_BY_WIDE_SIZE(op.operand_size, op_bit_memory, Operation, true, false)
        default: return nullptr;
    }
}

// A source of zero leaves the destination alone, on AMD by the manual (APM vol. 3, BSF), on Intel
// in practice.
#define BANYAN_SCAN(Name, mnemonic)                                                            \
    struct Name {                                                                              \
        template <class T>                                                                     \
        static void apply(T& destination, T source, FlagWord& flags) {                         \
            uint64_t ax = flags;                                                               \
            __asm__("addb $0x7F, %%al\n\tsahf\n\t" mnemonic " %[s], %[d]\n\tlahf\n\tseto %%al" \
                    : [d] "+r"(destination), "+&a"(ax)                                         \
                    : [s] "r"(source)                                                          \
                    : "cc");                                                                   \
            flags = static_cast<FlagWord>(ax);                                                 \
        }                                                                                      \
    };
BANYAN_SCAN(ScanForward, "bsf")
BANYAN_SCAN(ScanReverse, "bsr")
#undef BANYAN_SCAN

template <class T, class Operation>
void op_scan(Cpu& cpu, const Op* op) {
    T source;
    if (op->has(Op::kHasMemory)) {
        if (!cpu.read(op, source)) return;
    } else {
        source = cpu.get<T>(op->source);
    }
    T destination = cpu.get<T>(op->destination);
    Operation::apply(destination, source, cpu.arith);
    if (source != 0) cpu.set<T>(op->destination, destination);
    NEXT(cpu, op);
}

}  // namespace

Handler select_bits(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_BT: return select_bit<Bt>(decoded, op);
        case ZYDIS_MNEMONIC_BTS: return select_bit<Bts>(decoded, op);
        case ZYDIS_MNEMONIC_BTR: return select_bit<Btr>(decoded, op);
        case ZYDIS_MNEMONIC_BTC: return select_bit<Btc>(decoded, op);
        case ZYDIS_MNEMONIC_BSF: BANYAN_BY_WIDE_SIZE(op.operand_size, op_scan, ScanForward)
        case ZYDIS_MNEMONIC_BSR: BANYAN_BY_WIDE_SIZE(op.operand_size, op_scan, ScanReverse)
        default: return nullptr;
    }
}

}  // namespace banyan::interp
