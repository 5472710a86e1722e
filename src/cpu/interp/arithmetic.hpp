// Integer operations with their flags, computed by the host's own instructions.
//
// Arithmetic flags are kept as LAHF and SETO leave them in AX: AH = SF:ZF:0:AF:0:PF:1:CF, AL = OF
// (0 or 1).
#pragma once

#include <concepts>
#include <cstdint>

#include "arch/x86/registers.hpp"

namespace banyan::interp {

using FlagWord = uint16_t;

inline constexpr FlagWord kFlagWordCf = 1U << 8;
inline constexpr FlagWord kFlagWordPf = 1U << 10;
inline constexpr FlagWord kFlagWordAf = 1U << 12;
inline constexpr FlagWord kFlagWordZf = 1U << 14;
inline constexpr FlagWord kFlagWordSf = 1U << 15;
inline constexpr FlagWord kFlagWordOf = 1U;

constexpr uint32_t to_eflags(FlagWord word) {
    return ((static_cast<uint32_t>(word) >> 8) & 0xD5U) | ((word & 1U) << 11);
}
constexpr FlagWord from_eflags(uint64_t eflags) {
    return static_cast<FlagWord>(((eflags & 0xD5U) << 8) | 0x200U | ((eflags >> 11) & 1U));
}

constexpr FlagWord with_zf(FlagWord word, bool value) {
    return static_cast<FlagWord>(value ? word | kFlagWordZf : word & ~kFlagWordZf);
}

// Condition codes in encoding order (Intel SDM vol. 1 appendix B).
template <unsigned kCondition>
constexpr bool condition_holds(FlagWord f) {
    constexpr unsigned kKind = kCondition >> 1;
    bool holds = false;
    if constexpr (kKind == 0) holds = (f & kFlagWordOf) != 0;
    if constexpr (kKind == 1) holds = (f & kFlagWordCf) != 0;
    if constexpr (kKind == 2) holds = (f & kFlagWordZf) != 0;
    if constexpr (kKind == 3) holds = (f & (kFlagWordCf | kFlagWordZf)) != 0;
    if constexpr (kKind == 4) holds = (f & kFlagWordSf) != 0;
    if constexpr (kKind == 5) holds = (f & kFlagWordPf) != 0;
    if constexpr (kKind == 6) holds = ((f >> 15) & 1U) != (f & 1U);
    if constexpr (kKind == 7) holds = (f & kFlagWordZf) != 0 || ((f >> 15) & 1U) != (f & 1U);
    return (kCondition & 1U) != 0 ? !holds : holds;
}

// Two operands, result in the first, flags written.
#define BANYAN_BINARY(name, mnemonic)                       \
    template <std::unsigned_integral T>                     \
    T name(T a, T b, FlagWord& flags) {                     \
        uint64_t ax;                                        \
        __asm__(mnemonic " %[b], %[a]\n\tlahf\n\tseto %%al" \
                : [a] "+r"(a), "=&a"(ax)                    \
                : [b] "r"(b)                                \
                : "cc");                                    \
        flags = static_cast<FlagWord>(ax);                  \
        return a;                                           \
    }
BANYAN_BINARY(add, "add")
BANYAN_BINARY(sub, "sub")
BANYAN_BINARY(bit_and, "and")
BANYAN_BINARY(bit_or, "or")
BANYAN_BINARY(bit_xor, "xor")
#undef BANYAN_BINARY

// With carry in.
#define BANYAN_CARRY(name, mnemonic)                                            \
    template <std::unsigned_integral T>                                         \
    T name(T a, T b, FlagWord& flags) {                                         \
        uint64_t ax;                                                            \
        const uint32_t in = flags;                                              \
        __asm__("btl $8, %[in]\n\t" mnemonic " %[b], %[a]\n\tlahf\n\tseto %%al" \
                : [a] "+r"(a), "=&a"(ax)                                        \
                : [b] "r"(b), [in] "r"(in)                                      \
                : "cc");                                                        \
        flags = static_cast<FlagWord>(ax);                                      \
        return a;                                                               \
    }
BANYAN_CARRY(adc, "adc")
BANYAN_CARRY(sbb, "sbb")
#undef BANYAN_CARRY

// One operand. CF goes in, so that INC and DEC leave it.
#define BANYAN_UNARY(name, mnemonic)                                      \
    template <std::unsigned_integral T>                                   \
    T name(T a, FlagWord& flags) {                                        \
        uint64_t ax;                                                      \
        const uint32_t in = flags;                                        \
        __asm__("btl $8, %[in]\n\t" mnemonic " %[a]\n\tlahf\n\tseto %%al" \
                : [a] "+r"(a), "=&a"(ax)                                  \
                : [in] "r"(in)                                            \
                : "cc");                                                  \
        flags = static_cast<FlagWord>(ax);                                \
        return a;                                                         \
    }
BANYAN_UNARY(inc, "inc")
BANYAN_UNARY(dec, "dec")
BANYAN_UNARY(neg, "neg")
#undef BANYAN_UNARY

// Shifts and rotates by CL, with all flags going in: a count of 0 leaves them.
#define BANYAN_SHIFT(name, mnemonic)                                                       \
    template <std::unsigned_integral T>                                                    \
    T name(T a, uint8_t count, FlagWord& flags) {                                          \
        uint64_t ax = flags;                                                               \
        __asm__("addb $0x7F, %%al\n\tsahf\n\t" mnemonic " %%cl, %[a]\n\tlahf\n\tseto %%al" \
                : [a] "+r"(a), "+&a"(ax)                                                   \
                : "c"(count)                                                               \
                : "cc");                                                                   \
        flags = static_cast<FlagWord>(ax);                                                 \
        return a;                                                                          \
    }
BANYAN_SHIFT(shl, "shl")
BANYAN_SHIFT(shr, "shr")
BANYAN_SHIFT(sar, "sar")
BANYAN_SHIFT(rol, "rol")
BANYAN_SHIFT(ror, "ror")
BANYAN_SHIFT(rcl, "rcl")
BANYAN_SHIFT(rcr, "rcr")
#undef BANYAN_SHIFT

// Double shifts: `a` shifted, filled from `b`.
#define BANYAN_DOUBLE_SHIFT(name, mnemonic)                                                      \
    template <std::unsigned_integral T>                                                          \
    T name(T a, T b, uint8_t count, FlagWord& flags) {                                           \
        uint64_t ax = flags;                                                                     \
        __asm__("addb $0x7F, %%al\n\tsahf\n\t" mnemonic " %%cl, %[b], %[a]\n\tlahf\n\tseto %%al" \
                : [a] "+r"(a), "+&a"(ax)                                                         \
                : [b] "r"(b), "c"(count)                                                         \
                : "cc");                                                                         \
        flags = static_cast<FlagWord>(ax);                                                       \
        return a;                                                                                \
    }
BANYAN_DOUBLE_SHIFT(shld, "shld")
BANYAN_DOUBLE_SHIFT(shrd, "shrd")
#undef BANYAN_DOUBLE_SHIFT

}  // namespace banyan::interp
