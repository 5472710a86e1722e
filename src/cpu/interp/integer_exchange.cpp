// XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B.
#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

namespace {

template <class T>
void op_xchg_register(Cpu& cpu, const Op* op) {
    const T a = cpu.get<T>(op->destination);
    const T b = cpu.get<T>(op->source);
    cpu.set<T>(op->destination, b);
    cpu.set<T>(op->source, a);
    NEXT(cpu, op);
}

// Always locked (Intel SDM vol. 2, XCHG).
template <class T>
void op_xchg_memory(Cpu& cpu, const Op* op) {
    T old{};
    const T value = cpu.get<T>(op->destination);
    const auto change = [&](T a) {
        old = a;
        return value;
    };
    if (!cpu.modify<T, true>(op, change)) return;
    cpu.set<T>(op->destination, old);
    NEXT(cpu, op);
}

Handler select_xchg(Op& op) {
    if (op.has(Op::kHasMemory)) BANYAN_BY_SIZE(op.operand_size, op_xchg_memory)
    BANYAN_BY_SIZE(op.operand_size, op_xchg_register)
}

template <class T>
void op_xadd_register(Cpu& cpu, const Op* op) {
    const T a = cpu.get<T>(op->destination);
    const T sum = add<T>(a, cpu.get<T>(op->source), cpu.arith);
    cpu.set<T>(op->source, a);
    cpu.set<T>(op->destination, sum);
    NEXT(cpu, op);
}

template <class T, bool kLocked>
void op_xadd_memory(Cpu& cpu, const Op* op) {
    T old{};
    FlagWord flags = cpu.arith;
    const T value = cpu.get<T>(op->destination);
    const auto change = [&](T a) {
        old = a;
        return add<T>(a, value, flags);
    };
    if (!cpu.modify<T, kLocked>(op, change)) return;
    cpu.arith = flags;
    cpu.set<T>(op->destination, old);
    NEXT(cpu, op);
}

Handler select_xadd(Op& op) {
    if (!op.has(Op::kHasMemory)) BANYAN_BY_SIZE(op.operand_size, op_xadd_register)
    if (op.has(Op::kLock)) BANYAN_BY_SIZE(op.operand_size, op_xadd_memory, true)
    BANYAN_BY_SIZE(op.operand_size, op_xadd_memory, false)
}

// One of the two registers is written, never both: a 32-bit write clears the upper half of its
// register.
template <class T>
void op_cmpxchg_register(Cpu& cpu, const Op* op) {
    const T accumulator = cpu.get<T>(0);
    const T a = cpu.get<T>(op->destination);
    const T replacement = cpu.get<T>(op->source);
    sub<T>(accumulator, a, cpu.arith);
    if (accumulator == a) {
        cpu.set<T>(op->destination, replacement);
    } else {
        cpu.set<T>(0, a);
    }
    NEXT(cpu, op);
}

template <class T, bool kLocked>
void op_cmpxchg_memory(Cpu& cpu, const Op* op) {
    const T accumulator = cpu.get<T>(0);
    const T replacement = cpu.get<T>(op->destination);
    T old{};
    const auto change = [&](T a) {
        old = a;
        return a == accumulator ? replacement : a;
    };
    if (!cpu.modify<T, kLocked>(op, change)) return;
    sub<T>(accumulator, old, cpu.arith);
    if (accumulator != old) cpu.set<T>(0, old);
    NEXT(cpu, op);
}

Handler select_cmpxchg(Op& op) {
    if (!op.has(Op::kHasMemory)) BANYAN_BY_SIZE(op.operand_size, op_cmpxchg_register)
    if (op.has(Op::kLock)) BANYAN_BY_SIZE(op.operand_size, op_cmpxchg_memory, true)
    BANYAN_BY_SIZE(op.operand_size, op_cmpxchg_memory, false)
}

void op_cmpxchg8b(Cpu& cpu, const Op* op) {
    const auto pair = [&](uint8_t high, uint8_t low) {
        return (uint64_t{cpu.get<uint32_t>(high * 8)} << 32) | cpu.get<uint32_t>(low * 8);
    };
    const uint64_t expected = pair(x86::kRdx, x86::kRax);
    const uint64_t replacement = pair(x86::kRcx, x86::kRbx);
    uint64_t old = 0;
    const auto change = [&](uint64_t a) {
        old = a;
        return a == expected ? replacement : a;
    };
    if (!cpu.modify<uint64_t, true>(op, change)) return;
    cpu.arith = with_zf(cpu.arith, old == expected);
    if (old != expected) {
        cpu.set<uint32_t>(x86::kRax * 8, static_cast<uint32_t>(old));
        cpu.set<uint32_t>(x86::kRdx * 8, static_cast<uint32_t>(old >> 32));
    }
    NEXT(cpu, op);
}

// The operand must be aligned to 16 bytes (Intel SDM vol. 2, CMPXCHG16B).
void op_cmpxchg16b(Cpu& cpu, const Op* op) {
    if (((cpu.effective_address(op) + cpu.base[op->segment]) & 15) != 0) {
        cpu.raise_gp(op);
        return;
    }
    const Pair128 expected{cpu.gpr[x86::kRax], cpu.gpr[x86::kRdx]};
    const Pair128 replacement{cpu.gpr[x86::kRbx], cpu.gpr[x86::kRcx]};
    Pair128 old{};
    const auto change = [&](Pair128 a) {
        old = a;
        return a == expected ? replacement : a;
    };
    if (!cpu.modify<Pair128, true>(op, change)) return;
    cpu.arith = with_zf(cpu.arith, old == expected);
    if (old != expected) {
        cpu.gpr[x86::kRax] = old.low;
        cpu.gpr[x86::kRdx] = old.high;
    }
    NEXT(cpu, op);
}

}  // namespace

Handler select_exchange(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_XCHG: return select_xchg(op);
        case ZYDIS_MNEMONIC_XADD: return select_xadd(op);
        case ZYDIS_MNEMONIC_CMPXCHG: return select_cmpxchg(op);
        case ZYDIS_MNEMONIC_CMPXCHG8B: return op_cmpxchg8b;
        case ZYDIS_MNEMONIC_CMPXCHG16B: return op_cmpxchg16b;
        default: return nullptr;
    }
}

}  // namespace banyan::interp
