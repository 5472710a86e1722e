// What the integer handlers share: operand forms, choice by operand size, and the sub-families.
#pragma once

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/op.hpp"

namespace banyan::interp {

// Which operand is where: destination first. Op::destination is always the first register operand,
// also where that is the source of a memory destination (mr).
enum class Form : uint8_t { rr, rm, mr, ri, mi, r, m, other };

Form form_of(const Decoded& decoded);

// The explicit or implied memory operand's segment (string instructions, XLAT).
x86::Segment memory_segment(const Decoded& decoded);

// Each handles some mnemonics of select_integer().
Handler select_arithmetic(const Decoded& decoded, Op& op);
Handler select_move(const Decoded& decoded, Op& op);
Handler select_shift(const Decoded& decoded, Op& op);
Handler select_multiply(const Decoded& decoded, Op& op);
Handler select_bits(const Decoded& decoded, Op& op);
Handler select_exchange(const Decoded& decoded, Op& op);
Handler select_string(const Decoded& decoded, Op& op);
Handler select_stack(const Decoded& decoded, Op& op);
Handler select_flags(const Decoded& decoded, Op& op);

// The instruction is begun anew after events were looked at (REP, taken in pieces).
inline void repeat(Cpu& cpu, const Op* op) {
    cpu.rip = cpu.rip_of(op);
    cpu.retired -= cpu.unfinished(op);
}

}  // namespace banyan::interp

// Returns function<T, ...> for T of `bytes` bytes.
#define BANYAN_BY_SIZE(bytes, function, ...)                           \
    switch (bytes) {                                                   \
        case 1: return function<uint8_t __VA_OPT__(, ) __VA_ARGS__>;   \
        case 2: return function<uint16_t __VA_OPT__(, ) __VA_ARGS__>;  \
        case 4: return function<uint32_t __VA_OPT__(, ) __VA_ARGS__>;  \
        default: return function<uint64_t __VA_OPT__(, ) __VA_ARGS__>; \
    }
#define BANYAN_BY_WIDE_SIZE(bytes, function, ...)                      \
    switch (bytes) {                                                   \
        case 2: return function<uint16_t __VA_OPT__(, ) __VA_ARGS__>;  \
        case 4: return function<uint32_t __VA_OPT__(, ) __VA_ARGS__>;  \
        default: return function<uint64_t __VA_OPT__(, ) __VA_ARGS__>; \
    }
