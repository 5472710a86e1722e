// MOVS, STOS, LODS, CMPS, SCAS, with REP. (INS and OUTS are the system family's.)
#include <algorithm>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/integer_forms.hpp"

namespace banyan::interp {

namespace {

// A repeated instruction is left after so many elements, so that events are looked at.
constexpr uint64_t kElementsAtOnce = 4096;

uint64_t address_mask(const Op* op) {
    if (op->has(Op::kAddress16)) return 0xFFFF;
    return op->has(Op::kAddress32) ? 0xFFFFFFFF : ~uint64_t{0};
}

// RSI, RDI and RCX as the address size sees them.
uint64_t get_index(const Cpu& cpu, const Op* op, x86::Gpr r) {
    return cpu.gpr[r] & address_mask(op);
}

void set_index(Cpu& cpu, const Op* op, x86::Gpr r, uint64_t value) {
    const auto at = static_cast<uint8_t>(r * 8);
    if (op->has(Op::kAddress16))
        cpu.set<uint16_t>(at, static_cast<uint16_t>(value));
    else if (op->has(Op::kAddress32))
        cpu.set<uint32_t>(at, static_cast<uint32_t>(value));
    else
        cpu.gpr[r] = value;
}

template <class T>
void step_index(Cpu& cpu, const Op* op, x86::Gpr r) {
    const uint64_t step = cpu.flag(x86::kDf) ? ~uint64_t{sizeof(T) - 1} : sizeof(T);
    set_index(cpu, op, r, get_index(cpu, op, r) + step);
}

x86::Segment source_segment(const Op* op) {
    return static_cast<x86::Segment>(op->segment);
}

// One element each by element(); false: a fault is pending and nothing has changed. Several at once
// by run(), which gives how many it did.

// Where no host instruction does several elements at once.
struct OneByOne {
    template <class T>
    static uint64_t run(Cpu&, const Op*, uint64_t) {
        return 0;
    }
};

struct Movs {
    static constexpr bool kCompares = false;
    template <class T>
    static bool element(Cpu& cpu, const Op* op) {
        T value;
        if (!cpu.read_segment(op, source_segment(op), get_index(cpu, op, x86::kRsi), value))
            return false;
        if (!cpu.write_segment(op, x86::kEs, get_index(cpu, op, x86::kRdi), value)) return false;
        step_index<T>(cpu, op, x86::kRsi);
        step_index<T>(cpu, op, x86::kRdi);
        return true;
    }
    template <class T>
    static uint64_t run(Cpu& cpu, const Op* op, uint64_t count);
};

struct Stos {
    static constexpr bool kCompares = false;
    template <class T>
    static bool element(Cpu& cpu, const Op* op) {
        if (!cpu.write_segment(op, x86::kEs, get_index(cpu, op, x86::kRdi), cpu.get<T>(0)))
            return false;
        step_index<T>(cpu, op, x86::kRdi);
        return true;
    }
    template <class T>
    static uint64_t run(Cpu& cpu, const Op* op, uint64_t count);
};

struct Lods : OneByOne {
    static constexpr bool kCompares = false;
    template <class T>
    static bool element(Cpu& cpu, const Op* op) {
        T value;
        if (!cpu.read_segment(op, source_segment(op), get_index(cpu, op, x86::kRsi), value))
            return false;
        cpu.set<T>(0, value);
        step_index<T>(cpu, op, x86::kRsi);
        return true;
    }
};

struct Cmps : OneByOne {
    static constexpr bool kCompares = true;
    template <class T>
    static bool element(Cpu& cpu, const Op* op) {
        T a;
        T b;
        // The destination first, as faults of both show on AMD's processors.
        if (!cpu.read_segment(op, x86::kEs, get_index(cpu, op, x86::kRdi), b)) return false;
        if (!cpu.read_segment(op, source_segment(op), get_index(cpu, op, x86::kRsi), a)) {
            return false;
        }
        sub<T>(a, b, cpu.arith);
        step_index<T>(cpu, op, x86::kRsi);
        step_index<T>(cpu, op, x86::kRdi);
        return true;
    }
};

struct Scas : OneByOne {
    static constexpr bool kCompares = true;
    template <class T>
    static bool element(Cpu& cpu, const Op* op) {
        T b;
        if (!cpu.read_segment(op, x86::kEs, get_index(cpu, op, x86::kRdi), b)) return false;
        sub<T>(cpu.get<T>(0), b, cpu.arith);
        step_index<T>(cpu, op, x86::kRdi);
        return true;
    }
};

// Forward runs inside one page of 64-bit flat memory go by host instructions. How many whole
// elements fit?
uint64_t room_in_page(uint64_t linear, unsigned size) {
    return (kPageSize - (linear & (kPageSize - 1))) / size;
}

template <class T>
uint64_t Movs::run(Cpu& cpu, const Op* op, uint64_t count) {
    if (!cpu.mode.has(Mode::kCode64) || op->has(Op::kAddress32) || cpu.flag(x86::kDf)) return 0;
    const uint64_t from = cpu.gpr[x86::kRsi] + cpu.base[op->segment];
    const uint64_t to = cpu.gpr[x86::kRdi];
    count = std::min({count, room_in_page(from, sizeof(T)), room_in_page(to, sizeof(T))});
    const auto bytes = static_cast<unsigned>(count * sizeof(T));
    if (bytes == 0) return 0;
    const std::byte* source = cpu.tlb->readable(from, bytes);
    std::byte* destination = cpu.tlb->writable(to, bytes);
    if (source == nullptr || destination == nullptr) return 0;
    // Element by element a destination just above its source repeats a pattern.
    if (destination > source && destination < source + bytes) return 0;
    std::memmove(destination, source, bytes);
    cpu.gpr[x86::kRsi] += bytes;
    cpu.gpr[x86::kRdi] += bytes;
    return count;
}

template <class T>
uint64_t Stos::run(Cpu& cpu, const Op* op, uint64_t count) {
    if (!cpu.mode.has(Mode::kCode64) || op->has(Op::kAddress32) || cpu.flag(x86::kDf)) return 0;
    const uint64_t to = cpu.gpr[x86::kRdi];
    count = std::min(count, room_in_page(to, sizeof(T)));
    if (count == 0) return 0;
    std::byte* destination = cpu.tlb->writable(to, static_cast<unsigned>(count * sizeof(T)));
    if (destination == nullptr) return 0;
    const T value = cpu.get<T>(0);
    for (uint64_t i = 0; i < count; ++i)
        std::memcpy(destination + i * sizeof(T), &value, sizeof(T));
    cpu.gpr[x86::kRdi] += count * sizeof(T);
    return count;
}

template <class T, class Operation>
void op_string(Cpu& cpu, const Op* op) {
    if (!Operation::template element<T>(cpu, op)) return;
    NEXT(cpu, op);
}

// Each element is complete before the next begins: a fault or an event in between finds RCX, RSI
// and RDI right (Intel SDM vol. 2, REP).
template <class T, class Operation>
void op_string_repeated(Cpu& cpu, const Op* op) {
    uint64_t left = get_index(cpu, op, x86::kRcx);
    // Debuggers see each iteration.
    const bool singly = cpu.mode.has(Mode::kOneInstruction);
    const uint64_t limit = singly ? 1 : kElementsAtOnce;
    for (uint64_t done = 0; left != 0;) {
        if (done >= limit) {
            cpu.debug.repeating = singly;
            return repeat(cpu, op);
        }
        uint64_t count = Operation::template run<T>(cpu, op, std::min(left, limit));
        if (count == 0) {
            if (!Operation::template element<T>(cpu, op)) return;
            count = 1;
        }
        left -= count;
        done += count;
        set_index(cpu, op, x86::kRcx, left);
        if constexpr (Operation::kCompares) {
            const bool equal = (cpu.arith & kFlagWordZf) != 0;
            if (equal == op->has(Op::kRepne)) break;
        }
    }
    NEXT(cpu, op);
}

template <class Operation>
Handler select_element(const Decoded& decoded, Op& op, unsigned size) {
    op.segment = memory_segment(decoded);
    if (decoded.instruction.address_width == 16) op.bits |= Op::kAddress16;
    if (decoded.instruction.address_width == 32) op.bits |= Op::kAddress32;
    op.bits &= static_cast<uint16_t>(~Op::kHasMemory);
    if (op.has(Op::kRep) || op.has(Op::kRepne)) BANYAN_BY_SIZE(size, op_string_repeated, Operation)
    BANYAN_BY_SIZE(size, op_string, Operation)
}

// MOVSD and CMPSD are also names of SSE instructions, which have visible vector operands.
bool is_string(const Decoded& decoded) {
    return decoded.instruction.meta.category == ZYDIS_CATEGORY_STRINGOP;
}

}  // namespace

Handler select_string(const Decoded& decoded, Op& op) {
    if (!is_string(decoded)) return nullptr;
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_MOVSB: return select_element<Movs>(decoded, op, 1);
        case ZYDIS_MNEMONIC_MOVSW: return select_element<Movs>(decoded, op, 2);
        case ZYDIS_MNEMONIC_MOVSD: return select_element<Movs>(decoded, op, 4);
        case ZYDIS_MNEMONIC_MOVSQ: return select_element<Movs>(decoded, op, 8);
        case ZYDIS_MNEMONIC_STOSB: return select_element<Stos>(decoded, op, 1);
        case ZYDIS_MNEMONIC_STOSW: return select_element<Stos>(decoded, op, 2);
        case ZYDIS_MNEMONIC_STOSD: return select_element<Stos>(decoded, op, 4);
        case ZYDIS_MNEMONIC_STOSQ: return select_element<Stos>(decoded, op, 8);
        case ZYDIS_MNEMONIC_LODSB: return select_element<Lods>(decoded, op, 1);
        case ZYDIS_MNEMONIC_LODSW: return select_element<Lods>(decoded, op, 2);
        case ZYDIS_MNEMONIC_LODSD: return select_element<Lods>(decoded, op, 4);
        case ZYDIS_MNEMONIC_LODSQ: return select_element<Lods>(decoded, op, 8);
        case ZYDIS_MNEMONIC_CMPSB: return select_element<Cmps>(decoded, op, 1);
        case ZYDIS_MNEMONIC_CMPSW: return select_element<Cmps>(decoded, op, 2);
        case ZYDIS_MNEMONIC_CMPSD: return select_element<Cmps>(decoded, op, 4);
        case ZYDIS_MNEMONIC_CMPSQ: return select_element<Cmps>(decoded, op, 8);
        case ZYDIS_MNEMONIC_SCASB: return select_element<Scas>(decoded, op, 1);
        case ZYDIS_MNEMONIC_SCASW: return select_element<Scas>(decoded, op, 2);
        case ZYDIS_MNEMONIC_SCASD: return select_element<Scas>(decoded, op, 4);
        case ZYDIS_MNEMONIC_SCASQ: return select_element<Scas>(decoded, op, 8);
        default: return nullptr;
    }
}

}  // namespace banyan::interp
