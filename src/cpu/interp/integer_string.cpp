// MOVS, STOS, LODS, CMPS, SCAS, with REP. (INS and OUTS are the system family's.)
#include <algorithm>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/integer_forms.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

// A repeated instruction is left after so many elements, so that events are looked at.
constexpr uint64_t kElementsAtOnce = 4096;

// RSI, RDI and RCX as the address size sees them.
uint64_t get_index(const Cpu& cpu, const Op* op, x86::Gpr r) {
    return cpu.gpr[r] & op->address_mask();
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
void step_index(Cpu& cpu, const Op* op, x86::Gpr r, uint64_t elements = 1) {
    const uint64_t distance = elements * sizeof(T);
    const uint64_t index = get_index(cpu, op, r);
    set_index(cpu, op, r, cpu.flag(x86::kDf) ? index - distance : index + distance);
}

x86::Segment source_segment(const Op* op) {
    return static_cast<x86::Segment>(op->segment);
}

// Several elements in a row, from where an index register points, upwards or, with DF, downwards.
template <class T>
struct Run {
    // How many, up to `count`, lie in one page and are left until the index wraps around. The last
    // one before that is left out.
    static uint64_t room(const Cpu& cpu, const Op* op, x86::Segment segment, x86::Gpr r) {
        const uint64_t index = get_index(cpu, op, r);
        const uint64_t in_page = (index + cpu.base[segment]) & (kPageSize - 1);
        if (!cpu.flag(x86::kDf))
            return std::min(kPageSize - in_page, op->address_mask() - index) / sizeof(T);
        if (in_page + sizeof(T) > kPageSize) return 0;
        return std::min(in_page / sizeof(T) + 1, index / sizeof(T));
    }

    // Their lowest byte on the host. Null: they must be accessed one by one.
    static std::byte* find(const Cpu& cpu, const Op* op, x86::Segment segment, x86::Gpr r,
                           uint64_t count, Access access) {
        const auto size = static_cast<unsigned>(count * sizeof(T));
        const uint64_t index = get_index(cpu, op, r);
        const uint64_t lowest = cpu.flag(x86::kDf) ? index - (size - sizeof(T)) : index;
        return cpu.find_plain(segment, lowest, size, access);
    }

    // The element that comes after `before` others of `count`.
    static T get(const Cpu& cpu, const std::byte* lowest, uint64_t count, uint64_t before) {
        T value;
        std::memcpy(&value, lowest + position(cpu, count, before), sizeof(T));
        return value;
    }

    // As one by one: a destination just ahead of its source repeats a pattern.
    static void copy(const Cpu& cpu, std::byte* to, const std::byte* from, uint64_t count) {
        const uint64_t size = count * sizeof(T);
        const uint64_t ahead = static_cast<uint64_t>(cpu.flag(x86::kDf) ? from - to : to - from);
        if (ahead == 0 || ahead >= size) {
            std::memmove(to, from, size);
            return;
        }
        for (uint64_t i = 0; i < count; ++i) {
            const T value = get(cpu, from, count, i);
            std::memcpy(to + position(cpu, count, i), &value, sizeof(T));
        }
    }

private:
    static uint64_t position(const Cpu& cpu, uint64_t count, uint64_t before) {
        return (cpu.flag(x86::kDf) ? count - 1 - before : before) * sizeof(T);
    }
};

// MOVS and CMPS have a source and a destination: Run::room() of both, and steps of both.
template <class T>
uint64_t room_for_both(const Cpu& cpu, const Op* op, uint64_t count) {
    return std::min({count, Run<T>::room(cpu, op, source_segment(op), x86::kRsi),
                     Run<T>::room(cpu, op, x86::kEs, x86::kRdi)});
}
template <class T>
void step_both(Cpu& cpu, const Op* op, uint64_t elements = 1) {
    step_index<T>(cpu, op, x86::kRsi, elements);
    step_index<T>(cpu, op, x86::kRdi, elements);
}

// One element each by element(); false: a fault is pending and nothing has changed. Several at once
// by run(), which gives how many it did: none where they must be done one by one.

struct Movs {
    static constexpr bool kCompares = false;
    template <class T>
    static bool element(Cpu& cpu, const Op* op) {
        T value;
        if (!cpu.read_segment(op, source_segment(op), get_index(cpu, op, x86::kRsi), value))
            return false;
        if (!cpu.write_segment(op, x86::kEs, get_index(cpu, op, x86::kRdi), value)) return false;
        step_both<T>(cpu, op);
        return true;
    }
    template <class T>
    static uint64_t run(Cpu& cpu, const Op* op, uint64_t count) {
        const x86::Segment source = source_segment(op);
        count = room_for_both<T>(cpu, op, count);
        if (count == 0) return 0;
        const std::byte* from = Run<T>::find(cpu, op, source, x86::kRsi, count, Access::read);
        std::byte* to = Run<T>::find(cpu, op, x86::kEs, x86::kRdi, count, Access::write);
        if (from == nullptr || to == nullptr) return 0;
        Run<T>::copy(cpu, to, from, count);
        step_both<T>(cpu, op, count);
        return count;
    }
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
    static uint64_t run(Cpu& cpu, const Op* op, uint64_t count) {
        count = std::min(count, Run<T>::room(cpu, op, x86::kEs, x86::kRdi));
        if (count == 0) return 0;
        std::byte* to = Run<T>::find(cpu, op, x86::kEs, x86::kRdi, count, Access::write);
        if (to == nullptr) return 0;
        const T value = cpu.get<T>(0);
        for (uint64_t i = 0; i < count; ++i)
            std::memcpy(to + i * sizeof(T), &value, sizeof(T));
        step_index<T>(cpu, op, x86::kRdi, count);
        return count;
    }
};

struct Lods {
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
    // Only the last one is seen.
    template <class T>
    static uint64_t run(Cpu& cpu, const Op* op, uint64_t count) {
        const x86::Segment source = source_segment(op);
        count = std::min(count, Run<T>::room(cpu, op, source, x86::kRsi));
        if (count == 0) return 0;
        const std::byte* from = Run<T>::find(cpu, op, source, x86::kRsi, count, Access::read);
        if (from == nullptr) return 0;
        cpu.set<T>(0, Run<T>::get(cpu, from, count, count - 1));
        step_index<T>(cpu, op, x86::kRsi, count);
        return count;
    }
};

// REPE and REPNE: is this pair of elements the last one?
template <class T>
bool ends_comparison(const Op* op, T a, T b) {
    return (a == b) == op->has(Op::kRepne);
}

bool source_is_canonical(const Cpu& cpu, const Op* op) {
    return !cpu.code64() ||
           is_canonical(cpu.base[source_segment(op)] + get_index(cpu, op, x86::kRsi));
}

struct Cmps {
    static constexpr bool kCompares = true;
    template <class T>
    static bool element(Cpu& cpu, const Op* op) {
        T a;
        T b;
        // As faults of both show on AMD's processors: addresses are looked at before either is
        // read; then the destination comes first.
        if (!source_is_canonical(cpu, op)) {
            (void)cpu.read_segment(op, source_segment(op), get_index(cpu, op, x86::kRsi), a);
            return false;
        }
        if (!cpu.read_segment(op, x86::kEs, get_index(cpu, op, x86::kRdi), b)) return false;
        if (!cpu.read_segment(op, source_segment(op), get_index(cpu, op, x86::kRsi), a)) {
            return false;
        }
        sub<T>(a, b, cpu.arith);
        step_both<T>(cpu, op);
        return true;
    }
    template <class T>
    static uint64_t run(Cpu& cpu, const Op* op, uint64_t count) {
        const x86::Segment source = source_segment(op);
        count = room_for_both<T>(cpu, op, count);
        if (count == 0) return 0;
        const std::byte* first = Run<T>::find(cpu, op, source, x86::kRsi, count, Access::read);
        const std::byte* second = Run<T>::find(cpu, op, x86::kEs, x86::kRdi, count, Access::read);
        if (first == nullptr || second == nullptr) return 0;
        T a;
        T b;
        uint64_t done = 0;
        do {
            a = Run<T>::get(cpu, first, count, done);
            b = Run<T>::get(cpu, second, count, done);
        } while (++done < count && !ends_comparison(op, a, b));
        sub<T>(a, b, cpu.arith);
        step_both<T>(cpu, op, done);
        return done;
    }
};

struct Scas {
    static constexpr bool kCompares = true;
    template <class T>
    static bool element(Cpu& cpu, const Op* op) {
        T b;
        if (!cpu.read_segment(op, x86::kEs, get_index(cpu, op, x86::kRdi), b)) return false;
        sub<T>(cpu.get<T>(0), b, cpu.arith);
        step_index<T>(cpu, op, x86::kRdi);
        return true;
    }
    template <class T>
    static uint64_t run(Cpu& cpu, const Op* op, uint64_t count) {
        count = std::min(count, Run<T>::room(cpu, op, x86::kEs, x86::kRdi));
        if (count == 0) return 0;
        const std::byte* at = Run<T>::find(cpu, op, x86::kEs, x86::kRdi, count, Access::read);
        if (at == nullptr) return 0;
        const T a = cpu.get<T>(0);
        T b;
        uint64_t done = 0;
        do {
            b = Run<T>::get(cpu, at, count, done);
        } while (++done < count && !ends_comparison(op, a, b));
        sub<T>(a, b, cpu.arith);
        step_index<T>(cpu, op, x86::kRdi, done);
        return done;
    }
};

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
