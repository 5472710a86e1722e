// MUL, IMUL (one, two and three operands), DIV, IDIV.
#include <limits>
#include <type_traits>

#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

namespace {

__extension__ using Unsigned128 = unsigned __int128;
__extension__ using Signed128 = __int128;

// Type of twice the width.
template <class T>
struct Twice;
template <>
struct Twice<uint8_t> {
    using Type = uint16_t;
    using Signed = int16_t;
};
template <>
struct Twice<uint16_t> {
    using Type = uint32_t;
    using Signed = int32_t;
};
template <>
struct Twice<uint32_t> {
    using Type = uint64_t;
    using Signed = int64_t;
};
template <>
struct Twice<uint64_t> {
    using Type = Unsigned128;
    using Signed = Signed128;
};

// The accumulator pair: AH:AL, DX:AX, EDX:EAX, RDX:RAX.
template <class T>
constexpr uint8_t kHighHalf = sizeof(T) == 1 ? 1 : x86::kRdx * 8;

template <class T>
void set_pair(Cpu& cpu, T low, T high) {
    cpu.set<T>(0, low);
    cpu.set<T>(kHighHalf<T>, high);
}

// The one-operand instructions on the host: low and high half, or quotient and remainder, and the
// flags.
#define BANYAN_ON_PAIR(name, mnemonic)                                                         \
    template <class T>                                                                         \
    void name(T& low, T& high, T operand, FlagWord& flags) {                                   \
        if constexpr (sizeof(T) == 1) {                                                        \
            uint16_t ax = static_cast<uint16_t>(low | (high << 8));                            \
            uint16_t word = flags;                                                             \
            __asm__(                                                                           \
                "movw %[f], %%dx\n\txchgw %%ax, %%dx\n\taddb $0x7F, %%al\n\tsahf\n\t"          \
                "xchgw %%ax, %%dx\n\t" mnemonic                                                \
                "b %[b]\n\t"                                                                   \
                "xchgw %%ax, %%dx\n\tlahf\n\tseto %%al\n\txchgw %%ax, %%dx\n\tmovw %%dx, %[f]" \
                : "+a"(ax), [f] "+r"(word)                                                     \
                : [b] "r"(operand)                                                             \
                : "rdx", "cc");                                                                \
            low = static_cast<T>(ax);                                                          \
            high = static_cast<T>(ax >> 8);                                                    \
            flags = word;                                                                      \
        } else {                                                                               \
            uint64_t eflags = to_eflags(flags) | 2U;                                           \
            __asm__("pushq %[f]\n\tpopfq\n\t" mnemonic " %[b]\n\tpushfq\n\tpopq %[f]"          \
                    : "+a"(low), "+d"(high), [f] "+r"(eflags)                                  \
                    : [b] "r"(operand)                                                         \
                    : "cc", "memory");                                                         \
            flags = from_eflags(eflags);                                                       \
        }                                                                                      \
    }
BANYAN_ON_PAIR(host_mul, "mul")
BANYAN_ON_PAIR(host_imul, "imul")
BANYAN_ON_PAIR(host_div, "div")
BANYAN_ON_PAIR(host_idiv, "idiv")
#undef BANYAN_ON_PAIR

template <class T>
bool load_operand(Cpu& cpu, const Op* op, T& operand) {
    if (op->has(Op::kHasMemory)) return cpu.read(op, operand);
    operand = cpu.get<T>(op->destination);
    return true;
}

template <class T, bool kSigned>
void op_multiply_pair(Cpu& cpu, const Op* op) {
    T operand;
    if (!load_operand(cpu, op, operand)) return;
    T low = cpu.get<T>(0);
    T high = 0;
    if constexpr (kSigned)
        host_imul(low, high, operand, cpu.arith);
    else
        host_mul(low, high, operand, cpu.arith);
    set_pair(cpu, low, high);
    NEXT(cpu, op);
}

template <class T>
bool unsigned_quotient_fits(T, T high, T divisor) {
    return divisor != 0 && high < divisor;
}

template <class T>
bool signed_quotient_fits(T low, T high, T divisor) {
    using Wide = typename Twice<T>::Signed;
    using Narrow = std::make_signed_t<T>;
    if (divisor == 0) return false;
    const auto dividend =
        static_cast<Wide>((static_cast<typename Twice<T>::Type>(high) << (sizeof(T) * 8)) | low);
    const Wide by = static_cast<Narrow>(divisor);
    if (by == -1) {  // the quotient is -dividend, which the wide type may not hold
        return dividend >= -static_cast<Wide>(std::numeric_limits<Narrow>::max()) &&
               dividend <= -static_cast<Wide>(std::numeric_limits<Narrow>::min());
    }
    const auto quotient = static_cast<Wide>(dividend / by);
    return quotient >= std::numeric_limits<Narrow>::min() &&
           quotient <= std::numeric_limits<Narrow>::max();
}

// #DE also for a quotient that does not fit (Intel SDM vol. 2, DIV, IDIV).
template <class T, bool kSigned>
void op_divide(Cpu& cpu, const Op* op) {
    T divisor;
    if (!load_operand(cpu, op, divisor)) return;
    T low = cpu.get<T>(0);
    T high = cpu.get<T>(kHighHalf<T>);
    const bool fits = kSigned ? signed_quotient_fits(low, high, divisor)
                              : unsigned_quotient_fits(low, high, divisor);
    if (!fits) {
        cpu.raise(op, x86::Vector::de);
        return;
    }
    if constexpr (kSigned)
        host_idiv(low, high, divisor, cpu.arith);
    else
        host_div(low, high, divisor, cpu.arith);
    set_pair(cpu, low, high);
    NEXT(cpu, op);
}

template <class T>
T host_imul2(T a, T b, FlagWord& flags) {
    uint64_t ax = flags;
    __asm__("addb $0x7F, %%al\n\tsahf\n\timul %[b], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+&a"(ax)
            : [b] "r"(b)
            : "cc");
    flags = static_cast<FlagWord>(ax);
    return a;
}

// Two operands: register times register or memory. Three: that times the immediate.
template <class T, bool kThree>
void op_imul(Cpu& cpu, const Op* op) {
    T operand;
    if (op->has(Op::kHasMemory)) {
        if (!cpu.read(op, operand)) return;
    } else {
        operand = cpu.get<T>(op->source);
    }
    const T other = kThree ? static_cast<T>(op->immediate) : cpu.get<T>(op->destination);
    cpu.set<T>(op->destination, host_imul2<T>(operand, other, cpu.arith));
    NEXT(cpu, op);
}

Handler select_imul(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.operand_count_visible) {
        case 1: BANYAN_BY_SIZE(op.operand_size, op_multiply_pair, true)
        case 2: BANYAN_BY_WIDE_SIZE(op.operand_size, op_imul, false)
        default: BANYAN_BY_WIDE_SIZE(op.operand_size, op_imul, true)
    }
}

}  // namespace

Handler select_multiply(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_MUL: BANYAN_BY_SIZE(op.operand_size, op_multiply_pair, false)
        case ZYDIS_MNEMONIC_IMUL: return select_imul(decoded, op);
        case ZYDIS_MNEMONIC_DIV: BANYAN_BY_SIZE(op.operand_size, op_divide, false)
        case ZYDIS_MNEMONIC_IDIV: BANYAN_BY_SIZE(op.operand_size, op_divide, true)
        default: return nullptr;
    }
}

}  // namespace banyan::interp
