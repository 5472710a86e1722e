// VGATHER, VPGATHER, VSCATTER and VPSCATTER: each element is its own access; those that are done
// when one faults stay done, and their mask says so (Intel SDM vol. 2, VGATHERDPS).
#include <algorithm>
#include <cstring>

#include "cpu/interp/arena.hpp"
#include "cpu/interp/native_access.hpp"
#include "cpu/interp/native_families.hpp"
#include "cpu/interp/native_wide.hpp"

namespace banyan::interp {
namespace {

struct Gather {
    uint8_t data = 0;  // register numbers
    uint8_t index = 0;
    uint8_t mask = 0;   // a vector register, or an opmask with EVEX
    uint8_t scale = 0;  // shift count
    uint8_t count = 0;
};

template <class Index, class Element>
void op_gather(Cpu& cpu, const Op* op) {
    const auto& g = *static_cast<const Gather*>(op->extra);
    auto& destination = cpu.vectors.ymm[g.data];
    auto& mask = cpu.vectors.ymm[g.mask];
    for (unsigned i = 0; i < g.count; ++i) {
        const unsigned at = i * sizeof(Element);
        if ((std::to_integer<unsigned>(mask[at + sizeof(Element) - 1]) & 0x80U) == 0) {
            std::memset(&mask[at], 0, sizeof(Element));
            continue;
        }
        Index index;
        std::memcpy(&index, &cpu.vectors.ymm[g.index][i * sizeof(Index)], sizeof(index));
        const uint64_t displaced = static_cast<uint64_t>(int64_t{index}) << g.scale;
        Element value;
        if (!cpu.read(op, value, displaced)) return;
        std::memcpy(&destination[at], &value, sizeof(value));
        std::memset(&mask[at], 0, sizeof(value));
    }
    const unsigned size = g.count * unsigned{sizeof(Element)};
    std::memset(&destination[size], 0, destination.size() - size);
    mask = {};
    clear_zmm_high(cpu, g.data);
    clear_zmm_high(cpu, g.mask);
    NEXT(cpu, op);
}

// Calls `access(displaced, at)` for each element that the opmask names, and takes its bit away when
// that is done. False: a fault is pending.
template <class Index, class Element, class F>
bool for_each_opmasked(Cpu& cpu, const Gather& g, F access) {
    uint64_t& opmask = cpu.avx512.k[g.mask];
    const WideVector indices = get_vector(cpu, g.index);
    for (unsigned i = 0; i < g.count; ++i) {
        if ((opmask >> i & 1) == 0) continue;
        Index index;
        std::memcpy(&index, &indices[i * sizeof(Index)], sizeof(index));
        if (!access(static_cast<uint64_t>(int64_t{index}) << g.scale, i * sizeof(Element)))
            return false;
        opmask &= ~(uint64_t{1} << i);
    }
    opmask = 0;
    return true;
}

// A fault before the first element leaves the destination as it was; one that comes later finds the
// bytes above the vector cleared already.
template <class Index, class Element>
void op_opmasked_gather(Cpu& cpu, const Op* op) {
    const auto& g = *static_cast<const Gather*>(op->extra);
    WideVector data = get_vector(cpu, g.data);
    bool any = false;
    const auto load = [&](uint64_t displaced, size_t at) {
        Element value;
        if (!cpu.read(op, value, displaced)) return false;
        std::memcpy(&data[at], &value, sizeof(value));
        any = true;
        return true;
    };
    const bool done = for_each_opmasked<Index, Element>(cpu, g, load);
    if (!done && !any) return;
    const size_t size = g.count * sizeof(Element);
    std::memset(&data[size], 0, data.size() - size);
    put_vector(cpu, g.data, data);
    if (!done) return;
    NEXT(cpu, op);
}

template <class Index, class Element>
void op_scatter(Cpu& cpu, const Op* op) {
    const auto& g = *static_cast<const Gather*>(op->extra);
    const WideVector data = get_vector(cpu, g.data);
    const auto store = [&](uint64_t displaced, size_t at) {
        Element value;
        std::memcpy(&value, &data[at], sizeof(value));
        return cpu.write(op, value, displaced);
    };
    if (!for_each_opmasked<Index, Element>(cpu, g, store)) return;
    NEXT(cpu, op);
}

uint8_t number(ZydisRegister name) {
    return static_cast<uint8_t>(ZydisRegisterGetId(name));
}

// Sharing a register among them is #UD.
bool shares_registers(const Gather& g, bool evex, bool loads) {
    if (evex) return g.mask == 0 || (loads && g.data == g.index);
    return g.data == g.index || g.data == g.mask || g.index == g.mask;
}

template <class Index, class Element>
Handler handler_of(bool evex, bool loads) {
    if (!loads) return op_scatter<Index, Element>;
    return evex ? op_opmasked_gather<Index, Element> : op_gather<Index, Element>;
}

template <class Index, class Element>
Handler select(const Decoded& decoded, Op& op) {
    const ZydisDecodedInstruction& in = decoded.instruction;
    const bool evex = in.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    const bool loads = decoded.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
    // VEX: data, memory, mask. EVEX: data, mask, memory, or memory, mask, data.
    const unsigned mask = evex ? 1 : 2;
    const unsigned memory = !loads ? 0 : evex ? 2 : 1;
    auto* g = decoded.arena.allocate<Gather>();
    const auto& address = decoded.operands[memory].mem;
    g->data = number(decoded.operands[loads ? 0 : 2].reg.value);
    g->index = number(address.index);
    g->mask = number(decoded.operands[mask].reg.value);
    g->scale = address.scale == 8 ? 3 : static_cast<uint8_t>(address.scale / 2);
    const unsigned vector = in.avx.vector_length / 8;
    g->count = static_cast<uint8_t>(vector / std::max(sizeof(Index), sizeof(Element)));
    if (shares_registers(*g, evex, loads)) return op_undefined;
    op.extra = g;
    op.index = kZeroRegister;
    op.scale = 0;
    return handler_of<Index, Element>(evex, loads);
}

}  // namespace

Handler select_gather(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_VGATHERDPS:
        case ZYDIS_MNEMONIC_VPGATHERDD:
        case ZYDIS_MNEMONIC_VSCATTERDPS:
        case ZYDIS_MNEMONIC_VPSCATTERDD: return select<int32_t, uint32_t>(decoded, op);
        case ZYDIS_MNEMONIC_VGATHERDPD:
        case ZYDIS_MNEMONIC_VPGATHERDQ:
        case ZYDIS_MNEMONIC_VSCATTERDPD:
        case ZYDIS_MNEMONIC_VPSCATTERDQ: return select<int32_t, uint64_t>(decoded, op);
        case ZYDIS_MNEMONIC_VGATHERQPS:
        case ZYDIS_MNEMONIC_VPGATHERQD:
        case ZYDIS_MNEMONIC_VSCATTERQPS:
        case ZYDIS_MNEMONIC_VPSCATTERQD: return select<int64_t, uint32_t>(decoded, op);
        case ZYDIS_MNEMONIC_VGATHERQPD:
        case ZYDIS_MNEMONIC_VPGATHERQQ:
        case ZYDIS_MNEMONIC_VSCATTERQPD:
        case ZYDIS_MNEMONIC_VPSCATTERQQ: return select<int64_t, uint64_t>(decoded, op);
        default: return nullptr;
    }
}

}  // namespace banyan::interp
