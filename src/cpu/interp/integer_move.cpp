// MOV (general registers, memory, immediates), MOVZX, MOVSX, MOVSXD, LEA, MOVBE, BSWAP, XLAT, CBW
// and CWD families, NOP.
#include <bit>

#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

namespace {

template <class T>
void op_mov_rr(Cpu& cpu, const Op* op) {
    cpu.set<T>(op->destination, cpu.get<T>(op->source));
    NEXT(cpu, op);
}

template <class T>
void op_mov_ri(Cpu& cpu, const Op* op) {
    cpu.set<T>(op->destination, static_cast<T>(op->immediate));
    NEXT(cpu, op);
}

template <class T>
void op_mov_rm(Cpu& cpu, const Op* op) {
    T value;
    if (!cpu.read(op, value)) [[unlikely]]
        return;
    cpu.set<T>(op->destination, value);
    NEXT(cpu, op);
}

template <class T>
void op_mov_mr(Cpu& cpu, const Op* op) {
    if (!cpu.write<T>(op, cpu.get<T>(op->destination))) [[unlikely]]
        return;
    NEXT(cpu, op);
}

template <class T>
void op_mov_mi(Cpu& cpu, const Op* op) {
    if (!cpu.write<T>(op, static_cast<T>(op->immediate))) [[unlikely]]
        return;
    NEXT(cpu, op);
}

// Segment, control and debug registers are the system family's.
bool moves_general(const Decoded& decoded) {
    for (unsigned i = 0; i < 2; ++i) {
        if (decoded.operands[i].type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        const ZydisRegisterClass c = ZydisRegisterGetClass(decoded.operands[i].reg.value);
        if (c < ZYDIS_REGCLASS_GPR8 || c > ZYDIS_REGCLASS_GPR64) return false;
    }
    return true;
}

Handler select_mov(const Decoded& decoded, Op& op) {
    if (!moves_general(decoded)) return nullptr;
    switch (form_of(decoded)) {
        case Form::rr: BANYAN_BY_SIZE(op.operand_size, op_mov_rr)
        case Form::rm: BANYAN_BY_SIZE(op.operand_size, op_mov_rm)
        case Form::ri: BANYAN_BY_SIZE(op.operand_size, op_mov_ri)
        case Form::mr: BANYAN_BY_SIZE(op.operand_size, op_mov_mr)
        case Form::mi: BANYAN_BY_SIZE(op.operand_size, op_mov_mi)
        default: return nullptr;
    }
}

template <class To, class From>
void op_extend_register(Cpu& cpu, const Op* op) {
    cpu.set<To>(op->destination, static_cast<To>(cpu.get<From>(op->source)));
    NEXT(cpu, op);
}

template <class To, class From>
void op_extend_memory(Cpu& cpu, const Op* op) {
    From value;
    if (!cpu.read(op, value)) [[unlikely]]
        return;
    cpu.set<To>(op->destination, static_cast<To>(value));
    NEXT(cpu, op);
}

template <class To, class From>
Handler extend(const Op& op) {
    return op.has(Op::kHasMemory) ? op_extend_memory<To, From> : op_extend_register<To, From>;
}

// Destinations are written as signed types of the same size: the same bits.
template <class From8, class From16, class From32>
Handler select_extend(const Decoded& decoded, const Op& op) {
    constexpr bool kSigned = std::is_signed_v<From8>;
    using To16 = std::conditional_t<kSigned, int16_t, uint16_t>;
    using To64 = std::conditional_t<kSigned, int64_t, uint64_t>;
    // A signed 32-bit result must not be widened with its sign: the upper half is cleared.
    const unsigned from = decoded.operands[1].size / 8;
    if (op.operand_size == 2) return from == 1 ? extend<To16, From8>(op) : extend<To16, From16>(op);
    if (op.operand_size == 4) {
        if (from == 1) return extend<uint32_t, From8>(op);
        return from == 2 ? extend<uint32_t, From16>(op) : extend<uint32_t, From32>(op);
    }
    if (from == 1) return extend<To64, From8>(op);
    return from == 2 ? extend<To64, From16>(op) : extend<To64, From32>(op);
}

template <class T>
void op_lea(Cpu& cpu, const Op* op) {
    cpu.set<T>(op->destination, static_cast<T>(cpu.effective_address(op)));
    NEXT(cpu, op);
}

template <class T>
T swap_bytes(T value) {
    if constexpr (sizeof(T) == 2)
        return __builtin_bswap16(value);
    else if constexpr (sizeof(T) == 4)
        return __builtin_bswap32(value);
    else
        return __builtin_bswap64(value);
}

template <class T>
void op_movbe_load(Cpu& cpu, const Op* op) {
    T value;
    if (!cpu.read(op, value)) return;
    cpu.set<T>(op->destination, swap_bytes(value));
    NEXT(cpu, op);
}

template <class T>
void op_movbe_store(Cpu& cpu, const Op* op) {
    if (!cpu.write<T>(op, swap_bytes(cpu.get<T>(op->destination)))) return;
    NEXT(cpu, op);
}

Handler select_movbe(const Decoded& decoded, Op& op) {
    if (form_of(decoded) == Form::rm) BANYAN_BY_WIDE_SIZE(op.operand_size, op_movbe_load)
    BANYAN_BY_WIDE_SIZE(op.operand_size, op_movbe_store)
}

template <class T>
void op_bswap(Cpu& cpu, const Op* op) {
    cpu.set<T>(op->destination, swap_bytes(cpu.get<T>(op->destination)));
    NEXT(cpu, op);
}

// Undefined by the manual; both vendors' processors give zero.
void op_bswap16(Cpu& cpu, const Op* op) {
    cpu.set<uint16_t>(op->destination, 0);
    NEXT(cpu, op);
}

Handler select_bswap(const Op& op) {
    if (op.operand_size == 2) return op_bswap16;
    return op.operand_size == 4 ? op_bswap<uint32_t> : op_bswap<uint64_t>;
}

void op_xlat(Cpu& cpu, const Op* op) {
    const uint64_t offset = (cpu.gpr[x86::kRbx] + cpu.get<uint8_t>(kAl)) & op->address_mask();
    uint8_t value;
    if (!cpu.read_segment(op, static_cast<x86::Segment>(op->segment), offset, value)) return;
    cpu.set<uint8_t>(0, value);
    NEXT(cpu, op);
}

Handler select_xlat(const Decoded& decoded, Op& op) {
    op.segment = memory_segment(decoded);
    if (decoded.instruction.address_width == 16) op.bits |= Op::kAddress16;
    if (decoded.instruction.address_width == 32) op.bits |= Op::kAddress32;
    return op_xlat;
}

// AX <- AL and so on: the low half of the accumulator sign-extended.
template <class To, class From>
void op_widen_accumulator(Cpu& cpu, const Op* op) {
    cpu.set<To>(0, static_cast<To>(cpu.get<From>(0)));
    NEXT(cpu, op);
}

// DX <- sign of AX and so on.
template <class To, class Signed>
void op_sign_to_rdx(Cpu& cpu, const Op* op) {
    cpu.set<To>(x86::kRdx * 8, static_cast<To>(cpu.get<Signed>(0) < 0 ? ~To{0} : To{0}));
    NEXT(cpu, op);
}

void op_nop(Cpu& cpu, const Op* op) {
    NEXT(cpu, op);
}

}  // namespace

Handler select_move(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_MOV: return select_mov(decoded, op);
        case ZYDIS_MNEMONIC_MOVZX: return select_extend<uint8_t, uint16_t, uint32_t>(decoded, op);
        case ZYDIS_MNEMONIC_MOVSX:
        case ZYDIS_MNEMONIC_MOVSXD: return select_extend<int8_t, int16_t, int32_t>(decoded, op);
        case ZYDIS_MNEMONIC_LEA: BANYAN_BY_WIDE_SIZE(op.operand_size, op_lea)
        case ZYDIS_MNEMONIC_MOVBE: return select_movbe(decoded, op);
        case ZYDIS_MNEMONIC_BSWAP: return select_bswap(op);
        case ZYDIS_MNEMONIC_XLAT: return select_xlat(decoded, op);
        case ZYDIS_MNEMONIC_CBW: return op_widen_accumulator<uint16_t, int8_t>;
        case ZYDIS_MNEMONIC_CWDE: return op_widen_accumulator<uint32_t, int16_t>;
        case ZYDIS_MNEMONIC_CDQE: return op_widen_accumulator<uint64_t, int32_t>;
        case ZYDIS_MNEMONIC_CWD: return op_sign_to_rdx<uint16_t, int16_t>;
        case ZYDIS_MNEMONIC_CDQ: return op_sign_to_rdx<uint32_t, int32_t>;
        case ZYDIS_MNEMONIC_CQO: return op_sign_to_rdx<uint64_t, int64_t>;
        case ZYDIS_MNEMONIC_NOP: return op_nop;
        default: return nullptr;
    }
}

}  // namespace banyan::interp
