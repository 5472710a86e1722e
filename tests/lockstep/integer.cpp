// Integer instructions in all forms and widths.
#include <array>

#include "lockstep/families.hpp"

namespace banyan::lockstep {

namespace {

using M = ZydisMnemonic;

constexpr std::array kConditions = {
    std::pair{ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_SETO},
    std::pair{ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_SETNO},
    std::pair{ZYDIS_MNEMONIC_CMOVB, ZYDIS_MNEMONIC_SETB},
    std::pair{ZYDIS_MNEMONIC_CMOVNB, ZYDIS_MNEMONIC_SETNB},
    std::pair{ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_SETZ},
    std::pair{ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_SETNZ},
    std::pair{ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_SETBE},
    std::pair{ZYDIS_MNEMONIC_CMOVNBE, ZYDIS_MNEMONIC_SETNBE},
    std::pair{ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_SETS},
    std::pair{ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_SETNS},
    std::pair{ZYDIS_MNEMONIC_CMOVP, ZYDIS_MNEMONIC_SETP},
    std::pair{ZYDIS_MNEMONIC_CMOVNP, ZYDIS_MNEMONIC_SETNP},
    std::pair{ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_SETL},
    std::pair{ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_SETNL},
    std::pair{ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_SETLE},
    std::pair{ZYDIS_MNEMONIC_CMOVNLE, ZYDIS_MNEMONIC_SETNLE},
};

unsigned wide_size(Stream& s) {
    return s.random.pick({2U, 4U, 8U, 8U});
}

ZydisInstructionAttributes lock(Stream& s, const Place& place) {
    return place.prefixes | (s.random.chance(20) ? ZYDIS_ATTRIB_HAS_LOCK : 0U);
}

// A register or memory operand to be read.
Place readable(Stream& s, unsigned size) {
    return s.random.chance(40) ? s.memory(size) : Place{s.source(size)};
}

bool emit_binary(Stream& s) {
    const M m = s.random.pick({ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_OR, ZYDIS_MNEMONIC_ADC,
                               ZYDIS_MNEMONIC_ADC, ZYDIS_MNEMONIC_SBB, ZYDIS_MNEMONIC_SBB,
                               ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_SUB, ZYDIS_MNEMONIC_XOR});
    const unsigned size = s.size();
    switch (s.random.below(5)) {
        case 0: return s.emit(m, {s.target(size), s.source(size)});
        case 1: return s.emit(m, {s.target(size), s.immediate(size)});
        case 2: {
            const Place from = s.memory(size);
            return s.emit(m, {s.target(size), from.operand}, from.prefixes);
        }
        case 3: {
            const Place to = s.memory(size);
            return s.emit(m, {to.operand, s.source(size)}, lock(s, to));
        }
        default: {
            const Place to = s.memory(size);
            return s.emit(m, {to.operand, s.immediate(size)}, lock(s, to));
        }
    }
}

bool emit_compare(Stream& s) {
    const M m = s.random.pick({ZYDIS_MNEMONIC_CMP, ZYDIS_MNEMONIC_CMP, ZYDIS_MNEMONIC_TEST});
    const unsigned size = s.size();
    const Place first = readable(s, size);
    const Operand second = s.random.chance(50) ? s.immediate(size) : s.source(size);
    return s.emit(m, {first.operand, second}, first.prefixes);
}

bool emit_move(Stream& s) {
    const unsigned size = s.size();
    switch (s.random.below(6)) {
        case 0: return s.mov(reg(gpr(s.free_gpr())), imm(s.random.integer()));
        case 1: return s.mov(s.target(size), s.source(size));
        case 2: {
            const Place to = s.memory(size);
            return s.emit(ZYDIS_MNEMONIC_MOV, {to.operand, s.immediate(size)}, to.prefixes);
        }
        case 3:
        case 4: {
            const Place from = s.memory(size);
            return s.emit(ZYDIS_MNEMONIC_MOV, {s.target(size), from.operand}, from.prefixes);
        }
        default: {
            const Place to = s.memory(size);
            return s.emit(ZYDIS_MNEMONIC_MOV, {to.operand, s.source(size)}, to.prefixes);
        }
    }
}

bool emit_unary(Stream& s) {
    const M m = s.random.pick(
        {ZYDIS_MNEMONIC_INC, ZYDIS_MNEMONIC_DEC, ZYDIS_MNEMONIC_NEG, ZYDIS_MNEMONIC_NOT});
    const unsigned size = s.size();
    if (s.random.chance(60)) return s.emit(m, {s.target(size)});
    const Place to = s.memory(size);
    return s.emit(m, {to.operand}, lock(s, to));
}

bool emit_shift(Stream& s) {
    const M m = s.random.pick({ZYDIS_MNEMONIC_SHL, ZYDIS_MNEMONIC_SHR, ZYDIS_MNEMONIC_SAR,
                               ZYDIS_MNEMONIC_ROL, ZYDIS_MNEMONIC_ROR, ZYDIS_MNEMONIC_RCL,
                               ZYDIS_MNEMONIC_RCR, ZYDIS_MNEMONIC_SHLD, ZYDIS_MNEMONIC_SHRD});
    const bool twice = m == ZYDIS_MNEMONIC_SHLD || m == ZYDIS_MNEMONIC_SHRD;
    const unsigned size = twice ? wide_size(s) : s.size();
    const Operand count = s.random.chance(40)   ? reg(ZYDIS_REGISTER_CL)
                          : s.random.chance(40) ? imm(1)
                                                : imm(s.random.below(66));
    const Place to = s.random.chance(60) ? Place{s.target(size)} : s.memory(size);
    if (twice) return s.emit(m, {to.operand, s.source(size), count}, to.prefixes);
    return s.emit(m, {to.operand, count}, to.prefixes);
}

bool emit_bit_test(Stream& s) {
    const M m = s.random.pick(
        {ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC});
    const unsigned size = wide_size(s);
    if (s.random.chance(40)) return s.emit(m, {s.target(size), s.source(size)});
    const Place to = s.memory(size);
    const ZydisInstructionAttributes prefixes = m == ZYDIS_MNEMONIC_BT ? to.prefixes : lock(s, to);
    if (s.random.chance(40)) return s.emit(m, {to.operand, imm(s.random.below(64))}, prefixes);
    const unsigned r = s.free_gpr();
    // Bit strings reach outside of the operand; the index must not be what the address is made of.
    if (to.operand.mem.index == gpr(r)) return false;
    s.mov(reg(gpr(r)), imm(s.random.below(20000) - 10000));
    return s.emit(m, {to.operand, reg(gpr(r, size))}, prefixes);
}

bool emit_scan(Stream& s) {
    const M m = s.random.pick({ZYDIS_MNEMONIC_BSF, ZYDIS_MNEMONIC_BSR, ZYDIS_MNEMONIC_POPCNT,
                               ZYDIS_MNEMONIC_LZCNT, ZYDIS_MNEMONIC_TZCNT});
    const unsigned size = wide_size(s);
    const Place from = readable(s, size);
    return s.emit(m, {s.target(size), from.operand}, from.prefixes);
}

bool emit_multiply(Stream& s) {
    const unsigned size = wide_size(s);
    const Place from = readable(s, size);
    if (s.random.chance(35))
        return s.emit(ZYDIS_MNEMONIC_IMUL, {s.target(size), from.operand}, from.prefixes);
    if (s.random.chance(35)) {
        return s.emit(ZYDIS_MNEMONIC_IMUL, {s.target(size), from.operand, s.immediate(size)},
                      from.prefixes);
    }
    if (!s.are_free({x86::kRax, x86::kRdx})) return false;
    return s.emit(s.random.pick({ZYDIS_MNEMONIC_MUL, ZYDIS_MNEMONIC_IMUL}), {from.operand},
                  from.prefixes);
}

// By what may be zero or too small: #DE. In loops mostly by what cannot.
bool emit_divide(Stream& s) {
    if (!s.are_free({x86::kRax, x86::kRdx})) return false;
    const M m = s.random.pick({ZYDIS_MNEMONIC_DIV, ZYDIS_MNEMONIC_IDIV});
    const unsigned size = s.size();
    if (!s.in_loop() && s.random.chance(30)) {
        const Place from = readable(s, size);
        return s.emit(m, {from.operand}, from.prefixes);
    }
    const unsigned r = s.free_gpr_but(x86::kRdx);
    if (r == x86::kRax) return false;
    s.emit(ZYDIS_MNEMONIC_MOVZX, {reg(gpr(x86::kRax, 4)), reg(ZYDIS_REGISTER_AL)});
    s.mov(reg(gpr(x86::kRdx, 4)), imm(0));
    s.emit(ZYDIS_MNEMONIC_OR, {reg(gpr(r)), imm(3)});
    return s.emit(m, {reg(gpr(r, size))});
}

bool emit_extend(Stream& s) {
    const M m = s.random.pick({ZYDIS_MNEMONIC_MOVZX, ZYDIS_MNEMONIC_MOVSX});
    const unsigned to = wide_size(s);
    const unsigned from = to == 2 ? 1 : s.random.pick({1U, 2U});
    if (to == 8 && s.random.chance(30)) {
        const Place place = readable(s, 4);
        return s.emit(ZYDIS_MNEMONIC_MOVSXD, {s.target(8), place.operand}, place.prefixes);
    }
    const Place place = readable(s, from);
    return s.emit(m, {s.target(to), place.operand}, place.prefixes);
}

bool emit_convert(Stream& s) {
    if (s.random.chance(30))
        return s.emit(ZYDIS_MNEMONIC_BSWAP, {s.target(s.random.pick({4U, 8U}))});
    if (!s.are_free({x86::kRax, x86::kRdx})) return false;
    return s.emit(s.random.pick({ZYDIS_MNEMONIC_CBW, ZYDIS_MNEMONIC_CWDE, ZYDIS_MNEMONIC_CDQE,
                                 ZYDIS_MNEMONIC_CWD, ZYDIS_MNEMONIC_CDQ, ZYDIS_MNEMONIC_CQO}));
}

bool emit_condition(Stream& s) {
    const auto& [move, set] = kConditions[s.random.below(kConditions.size())];
    if (s.random.chance(50)) {
        const unsigned size = wide_size(s);
        const Place from = readable(s, size);
        return s.emit(move, {s.target(size), from.operand}, from.prefixes);
    }
    const Place to = s.random.chance(60) ? Place{s.target(1)} : s.memory(1);
    return s.emit(set, {to.operand}, to.prefixes);
}

bool emit_exchange(Stream& s) {
    const unsigned size = s.size();
    const bool in_memory = s.random.chance(60);
    const Place to = in_memory ? s.memory(size) : Place{s.target(size)};
    const ZydisInstructionAttributes prefixes = in_memory ? lock(s, to) : 0;
    switch (s.random.below(4)) {
        case 0: return s.emit(ZYDIS_MNEMONIC_XCHG, {to.operand, s.target(size)}, to.prefixes);
        case 1: return s.emit(ZYDIS_MNEMONIC_XADD, {to.operand, s.target(size)}, prefixes);
        case 2:
            if (!s.is_free(x86::kRax)) return false;
            return s.emit(ZYDIS_MNEMONIC_CMPXCHG, {to.operand, s.source(size)}, prefixes);
        default: {
            if (!s.are_free({x86::kRax, x86::kRdx})) return false;
            const bool wide = s.random.chance(50);
            const Place pair = s.memory(wide ? 16 : 8);
            return s.emit(wide ? ZYDIS_MNEMONIC_CMPXCHG16B : ZYDIS_MNEMONIC_CMPXCHG8B,
                          {pair.operand}, lock(s, pair));
        }
    }
}

bool emit_lea(Stream& s) {
    const unsigned index = static_cast<unsigned>(s.random.below(16));
    const auto displacement = static_cast<int64_t>(static_cast<int32_t>(s.random.integer()));
    const Operand from =
        mem(8, gpr(static_cast<unsigned>(s.random.below(16))), displacement, gpr(index),
            index == x86::kRsp ? 0 : s.random.pick({0U, 1U, 2U, 4U, 8U}));
    return s.emit(ZYDIS_MNEMONIC_LEA, {s.target(wide_size(s)), from});
}

bool emit_bmi(Stream& s) {
    const unsigned size = s.random.pick({4U, 8U});
    const Place from = readable(s, size);
    const auto emit3 = [&](M m, bool last_is_register) {
        return last_is_register
                   ? s.emit(m, {s.target(size), from.operand, s.source(size)}, from.prefixes)
                   : s.emit(m, {s.target(size), s.source(size), from.operand}, from.prefixes);
    };
    switch (s.random.below(6)) {
        case 0:
            if (s.random.chance(25)) {  // writes both registers
                return s.emit(ZYDIS_MNEMONIC_MULX, {s.target(size), s.target(size), from.operand},
                              from.prefixes);
            }
            return emit3(
                s.random.pick({ZYDIS_MNEMONIC_ANDN, ZYDIS_MNEMONIC_PDEP, ZYDIS_MNEMONIC_PEXT}),
                false);
        case 1:
            return emit3(
                s.random.pick({ZYDIS_MNEMONIC_BEXTR, ZYDIS_MNEMONIC_BZHI, ZYDIS_MNEMONIC_SARX,
                               ZYDIS_MNEMONIC_SHLX, ZYDIS_MNEMONIC_SHRX}),
                true);
        case 2:
            return s.emit(
                s.random.pick({ZYDIS_MNEMONIC_BLSI, ZYDIS_MNEMONIC_BLSR, ZYDIS_MNEMONIC_BLSMSK}),
                {s.target(size), from.operand}, from.prefixes);
        case 3:
            return s.emit(ZYDIS_MNEMONIC_RORX,
                          {s.target(size), from.operand, imm(s.random.below(64))}, from.prefixes);
        case 4:
            return s.emit(s.random.pick({ZYDIS_MNEMONIC_ADCX, ZYDIS_MNEMONIC_ADOX}),
                          {s.target(size), from.operand}, from.prefixes);
        default: {
            const unsigned source_size = size == 8 ? s.random.pick({1U, 8U}) : s.size();
            const Place place = readable(s, source_size);
            return s.emit(ZYDIS_MNEMONIC_CRC32, {s.target(size), place.operand}, place.prefixes);
        }
    }
}

bool emit_flags(Stream& s) {
    switch (s.random.below(6)) {
        case 0: return s.is_free(x86::kRax) && s.emit(ZYDIS_MNEMONIC_LAHF);
        case 1: return s.emit(ZYDIS_MNEMONIC_SAHF);
        case 2: return s.emit(ZYDIS_MNEMONIC_CLC);
        case 3: return s.emit(ZYDIS_MNEMONIC_STC);
        default: return s.emit(ZYDIS_MNEMONIC_CMC);
    }
}

struct Family {
    unsigned weight;
    bool (*emit)(Stream&);
};
constexpr Family kFamilies[] = {
    {20, emit_binary},  {8, emit_compare},  {14, emit_move},   {8, emit_unary},
    {8, emit_shift},    {4, emit_bit_test}, {3, emit_scan},    {4, emit_multiply},
    {2, emit_divide},   {5, emit_extend},   {2, emit_convert}, {8, emit_condition},
    {4, emit_exchange}, {5, emit_lea},      {5, emit_bmi},     {3, emit_flags},
};

}  // namespace

bool emit_integer(Stream& s) {
    unsigned total = 0;
    for (const Family& family : kFamilies)
        total += family.weight;
    uint64_t choice = s.random.below(total);
    for (const Family& family : kFamilies) {
        if (choice < family.weight) return family.emit(s);
        choice -= family.weight;
    }
    return false;
}

}  // namespace banyan::lockstep
