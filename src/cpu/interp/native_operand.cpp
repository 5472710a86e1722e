#include "cpu/interp/native_operand.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "cpu/interp/native_access.hpp"
#include "cpu/interp/native_x87_state.hpp"

namespace banyan::interp {
namespace {

struct alignas(64) Bounce {
    std::array<std::byte, 64> bytes{};
};

// A pending x87 error comes before whatever is wrong with the operand (Intel SDM vol. 3 table 6-2).
bool raise_x87_error(Cpu& cpu, const Op* op) {
    if (!thunk_of(op).uses_mmx || !X87State(cpu.vectors).error_pending()) return false;
    cpu.raise(op, x86::Vector::mf);
    return true;
}

// The operand is not plain memory in one page: it goes through a copy.
[[gnu::noinline]] void load_slowly(Cpu& cpu, const Op* op, uint64_t linear) {
    if (raise_x87_error(cpu, op)) return;
    const Thunk& thunk = thunk_of(op);
    Bounce bounce;
    if (!cpu.read_slow(op, linear, bounce.bytes.data(), thunk.memory_size, cpu.view)) return;
    if (!run_thunk(cpu, op, thunk, bounce.bytes.data())) return;
    NEXT(cpu, op);
}

[[gnu::noinline]] void store_slowly(Cpu& cpu, const Op* op, uint64_t linear) {
    if (raise_x87_error(cpu, op)) return;
    const Thunk& thunk = thunk_of(op);
    Bounce bounce;
    // Page faults come before SIMD exceptions (Intel SDM vol. 3 table 6-2).
    if (!cpu.probe(op, linear, thunk.memory_size, Access::write, cpu.view)) return;
    const uint32_t mxcsr = cpu.vectors.mxcsr;
    if (!run_thunk(cpu, op, thunk, bounce.bytes.data())) return;
    if (!cpu.write_slow(op, linear, bounce.bytes.data(), thunk.memory_size, cpu.view)) {
        cpu.vectors.mxcsr = mxcsr;
        return;
    }
    NEXT(cpu, op);
}

template <unsigned kSize, Access kAccess, Alignment kAlignment>
void op_operand(Cpu& cpu, const Op* op) {
    uint64_t linear;
    if (!operand_linear(cpu, op, kSize, kAccess, linear)) [[unlikely]]
        return;
    if constexpr (kAlignment != Alignment::any) {
        if ((linear & (kSize - 1)) != 0) [[unlikely]] {
            if constexpr (kAlignment == Alignment::copied) return load_slowly(cpu, op, linear);
            if (!raise_x87_error(cpu, op)) cpu.raise_gp(op);
            return;
        }
    }
    std::byte* host = host_address(cpu, linear, kSize, kAccess);
    if (host != nullptr) [[likely]]
        return thunk_of(op).code(cpu, op, host);
    if constexpr (kAccess == Access::write) return store_slowly(cpu, op, linear);
    return load_slowly(cpu, op, linear);
}

template <unsigned kSize>
Handler of_size(bool stores, Alignment alignment) {
    if (alignment == Alignment::any) {
        return stores ? op_operand<kSize, Access::write, Alignment::any>
                      : op_operand<kSize, Access::read, Alignment::any>;
    }
    if (stores) return op_operand<kSize, Access::write, Alignment::required>;
    return alignment == Alignment::required ? op_operand<kSize, Access::read, Alignment::required>
                                            : op_operand<kSize, Access::read, Alignment::copied>;
}

// --- under an opmask ---------------------------------------------------------

// Which of its elements are accessed.
uint64_t elements_reached(const Cpu& cpu, const OpmaskedMemory& o) {
    const auto low = [](unsigned count) {
        return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
    };
    const uint64_t chosen = cpu.avx512.k[o.opmask] & low(o.bits);
    if (o.order == OpmaskedMemory::Order::packed)
        return low(static_cast<unsigned>(std::popcount(chosen)));
    uint64_t result = 0;
    for (unsigned at = 0; at < o.bits; at += o.elements)
        result |= chosen >> at & low(o.elements);
    return result;
}

// Calls `access(linear, at)` for each of these elements, until one says no.
template <class F>
bool for_each_element(Cpu& cpu, const Op* op, uint64_t elements, Access kind, F access) {
    const unsigned size = thunk_of(op).opmasked.element;
    for (unsigned i = 0; i < thunk_of(op).opmasked.elements; ++i) {
        if ((elements >> i & 1) == 0) continue;
        uint64_t linear;
        if (!operand_linear(cpu, op, size, kind, linear, i * size)) return false;
        if (!access(linear, i * size)) return false;
    }
    return true;
}

[[gnu::noinline]] void load_elements(Cpu& cpu, const Op* op) {
    const Thunk& thunk = thunk_of(op);
    const unsigned size = thunk.opmasked.element;
    Bounce bounce;
    const auto load = [&](uint64_t linear, unsigned at) {
        return cpu.read_slow(op, linear, &bounce.bytes[at], size, cpu.view);
    };
    const uint64_t elements = elements_reached(cpu, thunk.opmasked);
    if (!for_each_element(cpu, op, elements, Access::read, load)) return;
    if (!run_thunk(cpu, op, thunk, bounce.bytes.data())) return;
    NEXT(cpu, op);
}

// All elements are checked before the first is written.
[[gnu::noinline]] void store_elements(Cpu& cpu, const Op* op) {
    const Thunk& thunk = thunk_of(op);
    const unsigned size = thunk.opmasked.element;
    Bounce bounce;
    const auto check = [&](uint64_t linear, unsigned) {
        return cpu.probe(op, linear, size, Access::write, cpu.view);
    };
    const auto store = [&](uint64_t linear, unsigned at) {
        return cpu.write_slow(op, linear, &bounce.bytes[at], size, cpu.view);
    };
    const uint64_t elements = elements_reached(cpu, thunk.opmasked);
    const uint64_t checked = thunk.opmasked.faults_whole ? ~uint64_t{0} : elements;
    if (!for_each_element(cpu, op, checked, Access::write, check)) return;
    const uint32_t mxcsr = cpu.vectors.mxcsr;
    if (!run_thunk(cpu, op, thunk, bounce.bytes.data())) return;
    if (!for_each_element(cpu, op, elements, Access::write, store)) {
        cpu.vectors.mxcsr = mxcsr;
        return;
    }
    NEXT(cpu, op);
}

// Where no element is chosen nothing is accessed, and nothing needs to be aligned: what AMD's
// processors do, as `conformance` shows.
template <Access kAccess, Alignment kAlignment>
void op_opmasked(Cpu& cpu, const Op* op) {
    const unsigned size = thunk_of(op).memory_size;
    const uint64_t linear = cpu.effective_address(op) + cpu.base[op->segment];
    if constexpr (kAlignment == Alignment::required) {
        if ((linear & (size - 1)) != 0) [[unlikely]] {
            if (elements_reached(cpu, thunk_of(op).opmasked) != 0) {
                cpu.raise_gp(op);
                return;
            }
            if constexpr (kAccess == Access::write) return store_elements(cpu, op);
            return load_elements(cpu, op);
        }
    }
    const bool checked = (op->bits & (Op::kCheckSegment | Op::kCheckAlignment)) != 0;
    std::byte* host = checked ? nullptr : host_address(cpu, linear, size, kAccess);
    if (host != nullptr) [[likely]]
        return thunk_of(op).code(cpu, op, host);
    if constexpr (kAccess == Access::write) return store_elements(cpu, op);
    return load_elements(cpu, op);
}

template <Access kAccess>
Handler opmasked_handler(Alignment alignment) {
    return alignment == Alignment::required ? op_opmasked<kAccess, Alignment::required>
                                            : op_opmasked<kAccess, Alignment::any>;
}

// --- x87 ---------------------------------------------------------------------

// FDP. A pending error keeps the one of its own instruction.
void note_data_pointer(Cpu& cpu, uint64_t offset) {
    std::memcpy(&cpu.vectors.fxsave[16], &offset, sizeof(offset));
}

using X87Image = std::array<std::byte, 512>;

// A store whose exception is unmasked may write nothing. What was written shows in two runs over
// different backgrounds: it is the same in both.
bool run_x87_store(Cpu& cpu, const Op* op, const Thunk& thunk, Bounce& bounce, bool& stored) {
    const X87Image before = cpu.vectors.fxsave;
    bounce.bytes.fill(std::byte{0xAA});
    if (!run_thunk(cpu, op, thunk, bounce.bytes.data())) return false;
    cpu.vectors.fxsave = before;
    Bounce other;
    if (!run_thunk(cpu, op, thunk, other.bytes.data())) return false;
    stored = std::memcmp(bounce.bytes.data(), other.bytes.data(), thunk.memory_size) == 0;
    return true;
}

[[gnu::noinline]] void x87_load_slowly(Cpu& cpu, const Op* op) {
    const Thunk& thunk = thunk_of(op);
    uint64_t linear;
    Bounce bounce;
    if (!operand_linear(cpu, op, thunk.memory_size, Access::read, linear)) return;
    if (!cpu.read_slow(op, linear, bounce.bytes.data(), thunk.memory_size, cpu.view)) return;
    if (!run_thunk(cpu, op, thunk, bounce.bytes.data())) return;
    note_data_pointer(cpu, cpu.effective_address(op));
    NEXT(cpu, op);
}

[[gnu::noinline]] void x87_store_slowly(Cpu& cpu, const Op* op) {
    const Thunk& thunk = thunk_of(op);
    uint64_t linear;
    if (!operand_linear(cpu, op, thunk.memory_size, Access::write, linear)) return;
    if (!cpu.probe(op, linear, thunk.memory_size, Access::write, cpu.view)) return;
    cpu.settle();
    Bounce bounce;
    bool stored = false;
    const X87Image before = cpu.vectors.fxsave;
    if (!run_x87_store(cpu, op, thunk, bounce, stored)) return;
    if (stored && !cpu.write_slow(op, linear, bounce.bytes.data(), thunk.memory_size, cpu.view)) {
        cpu.vectors.fxsave = before;
        return;
    }
    note_data_pointer(cpu, cpu.effective_address(op));
    NEXT(cpu, op);
}

template <unsigned kSize, Access kAccess>
void op_x87_operand(Cpu& cpu, const Op* op) {
    if (X87State(cpu.vectors).error_pending()) [[unlikely]]
        return thunk_x87_error(cpu, op, nullptr);
    const uint64_t offset = cpu.effective_address(op);
    const bool checked = (op->bits & (Op::kCheckSegment | Op::kCheckAlignment)) != 0;
    std::byte* host =
        checked ? nullptr : host_address(cpu, offset + cpu.base[op->segment], kSize, kAccess);
    if (host == nullptr) [[unlikely]] {
        if constexpr (kAccess == Access::write) return x87_store_slowly(cpu, op);
        return x87_load_slowly(cpu, op);
    }
    note_data_pointer(cpu, offset);
    return thunk_of(op).code(cpu, op, host);
}

template <unsigned kSize>
Handler x87_of_size(bool stores) {
    return stores ? op_x87_operand<kSize, Access::write> : op_x87_operand<kSize, Access::read>;
}

}  // namespace

Handler operand_handler(const Thunk& thunk, Alignment alignment) {
    const bool stores = thunk.stores;
    if (thunk.opmasked.opmask != 0) {
        return stores ? opmasked_handler<Access::write>(alignment)
                      : opmasked_handler<Access::read>(alignment);
    }
    switch (thunk.memory_size) {
        case 1: return of_size<1>(stores, Alignment::any);
        case 2: return of_size<2>(stores, Alignment::any);
        case 4: return of_size<4>(stores, Alignment::any);
        case 8: return of_size<8>(stores, Alignment::any);
        case 16: return of_size<16>(stores, alignment);
        case 32: return of_size<32>(stores, alignment);
        case 64: return of_size<64>(stores, alignment);
        default: return nullptr;
    }
}

Handler x87_operand_handler(unsigned size, bool stores) {
    switch (size) {
        case 2: return x87_of_size<2>(stores);
        case 4: return x87_of_size<4>(stores);
        case 8: return x87_of_size<8>(stores);
        case 10: return x87_of_size<10>(stores);
        default: return nullptr;
    }
}

}  // namespace banyan::interp
