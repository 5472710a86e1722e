// CLC, STC, CMC, CLD, STD, LAHF, SAHF, SALC and decimal adjustment.
#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

namespace {

bool carry(const Cpu& cpu) {
    return (cpu.arith & kFlagWordCf) != 0;
}
bool adjust(const Cpu& cpu) {
    return (cpu.arith & kFlagWordAf) != 0;
}

void put(FlagWord& word, FlagWord flag, bool value) {
    word = static_cast<FlagWord>(value ? word | flag : word & ~flag);
}

void op_clc(Cpu& cpu, const Op* op) {
    put(cpu.arith, kFlagWordCf, false);
    NEXT(cpu, op);
}
void op_stc(Cpu& cpu, const Op* op) {
    put(cpu.arith, kFlagWordCf, true);
    NEXT(cpu, op);
}
void op_cmc(Cpu& cpu, const Op* op) {
    cpu.arith = static_cast<FlagWord>(cpu.arith ^ kFlagWordCf);
    NEXT(cpu, op);
}
void op_cld(Cpu& cpu, const Op* op) {
    cpu.system_flags &= ~uint32_t{x86::kDf};
    NEXT(cpu, op);
}
void op_std(Cpu& cpu, const Op* op) {
    cpu.system_flags |= x86::kDf;
    NEXT(cpu, op);
}
void op_lahf(Cpu& cpu, const Op* op) {
    cpu.set<uint8_t>(kAh, static_cast<uint8_t>(to_eflags(cpu.arith) | x86::kFlagsFixed));
    NEXT(cpu, op);
}
void op_sahf(Cpu& cpu, const Op* op) {
    const uint32_t overflow = to_eflags(cpu.arith) & x86::kOf;
    cpu.arith = from_eflags(cpu.get<uint8_t>(kAh) | overflow);
    NEXT(cpu, op);
}
void op_salc(Cpu& cpu, const Op* op) {
    cpu.set<uint8_t>(kAl, carry(cpu) ? 0xFF : 0);
    NEXT(cpu, op);
}

// SF, ZF and PF of a byte, the rest cleared.
FlagWord result_flags(uint8_t value) {
    FlagWord flags = 0;
    bit_or<uint8_t>(value, value, flags);
    return flags;
}

// Intel SDM vol. 2, DAA and DAS. OF is undefined; the host's addition leaves it clear here.
template <bool kSubtract>
void op_daa(Cpu& cpu, const Op* op) {
    const uint8_t old = cpu.get<uint8_t>(kAl);
    uint8_t al = old;
    bool carries = carry(cpu);
    const bool low = (old & 0x0F) > 9 || adjust(cpu);
    if (low) {
        carries |= kSubtract ? al < 6 : al > 0xF9;
        al = static_cast<uint8_t>(kSubtract ? al - 6 : al + 6);
    }
    const bool high = old > 0x99 || carry(cpu);
    if (high) al = static_cast<uint8_t>(kSubtract ? al - 0x60 : al + 0x60);
    cpu.set<uint8_t>(kAl, al);
    cpu.arith = result_flags(al);
    put(cpu.arith, kFlagWordAf, low);
    put(cpu.arith, kFlagWordCf, high || (kSubtract && low && carries));
    NEXT(cpu, op);
}

// AAA and AAS.
template <bool kSubtract>
void op_aaa(Cpu& cpu, const Op* op) {
    const bool adjusts = (cpu.get<uint8_t>(kAl) & 0x0F) > 9 || adjust(cpu);
    auto ax = cpu.get<uint16_t>(kAl);
    if (adjusts) ax = static_cast<uint16_t>(kSubtract ? ax - 0x106 : ax + 0x106);
    cpu.set<uint16_t>(kAl, ax & 0xFF0F);
    cpu.arith = result_flags(static_cast<uint8_t>(ax & 0x0F));
    put(cpu.arith, kFlagWordAf, adjusts);
    put(cpu.arith, kFlagWordCf, adjusts);
    NEXT(cpu, op);
}

void op_aam(Cpu& cpu, const Op* op) {
    const auto base = static_cast<uint8_t>(op->immediate);
    if (base == 0) {
        cpu.raise(op, x86::Vector::de);
        return;
    }
    const uint8_t al = cpu.get<uint8_t>(kAl);
    cpu.set<uint8_t>(kAh, al / base);
    cpu.set<uint8_t>(kAl, al % base);
    cpu.arith = result_flags(al % base);
    NEXT(cpu, op);
}

void op_aad(Cpu& cpu, const Op* op) {
    const unsigned sum =
        cpu.get<uint8_t>(kAl) + cpu.get<uint8_t>(kAh) * static_cast<unsigned>(op->immediate & 0xFF);
    cpu.set<uint16_t>(kAl, static_cast<uint16_t>(sum & 0xFF));
    cpu.arith = result_flags(static_cast<uint8_t>(sum));
    NEXT(cpu, op);
}

}  // namespace

Handler select_flags(const Decoded& decoded, Op&) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_CLC: return op_clc;
        case ZYDIS_MNEMONIC_STC: return op_stc;
        case ZYDIS_MNEMONIC_CMC: return op_cmc;
        case ZYDIS_MNEMONIC_CLD: return op_cld;
        case ZYDIS_MNEMONIC_STD: return op_std;
        case ZYDIS_MNEMONIC_LAHF: return op_lahf;
        case ZYDIS_MNEMONIC_SAHF: return op_sahf;
        case ZYDIS_MNEMONIC_SALC: return op_salc;
        case ZYDIS_MNEMONIC_DAA: return op_daa<false>;
        case ZYDIS_MNEMONIC_DAS: return op_daa<true>;
        case ZYDIS_MNEMONIC_AAA: return op_aaa<false>;
        case ZYDIS_MNEMONIC_AAS: return op_aaa<true>;
        case ZYDIS_MNEMONIC_AAM: return op_aam;
        case ZYDIS_MNEMONIC_AAD: return op_aad;
        default: return nullptr;
    }
}

}  // namespace banyan::interp
