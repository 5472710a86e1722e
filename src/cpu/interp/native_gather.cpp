// VGATHER and VPGATHER: each element is its own access; those that are done when one faults stay
// done, and their mask says so (Intel SDM vol. 2, VGATHERDPS).
#include <cstring>

#include "cpu/interp/arena.hpp"
#include "cpu/interp/native_access.hpp"
#include "cpu/interp/native_families.hpp"

namespace banyan::interp {
namespace {

struct Gather {
    uint8_t destination = 0;  // register numbers
    uint8_t index = 0;
    uint8_t mask = 0;
    uint8_t scale = 0;  // shift count
    uint8_t count = 0;
};

template <class Index, class Element>
void op_gather(Cpu& cpu, const Op* op) {
    const auto& g = *static_cast<const Gather*>(op->extra);
    auto& destination = cpu.vectors.ymm[g.destination];
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
    NEXT(cpu, op);
}

uint8_t number(ZydisRegister name) {
    return static_cast<uint8_t>(ZydisRegisterGetId(name));
}

Handler select(const Decoded& decoded, Op& op, unsigned index_size, unsigned element_size,
               Handler handler) {
    auto* g = decoded.arena.allocate<Gather>();
    const auto& memory = decoded.operands[1].mem;
    g->destination = number(decoded.operands[0].reg.value);
    g->index = number(memory.index);
    g->mask = number(decoded.operands[2].reg.value);
    g->scale = memory.scale == 8 ? 3 : static_cast<uint8_t>(memory.scale / 2);
    const unsigned vector = decoded.instruction.raw.vex.L != 0 ? 32 : 16;
    g->count =
        static_cast<uint8_t>(vector / (index_size > element_size ? index_size : element_size));
    // Sharing a register among them is #UD.
    if (g->destination == g->index || g->destination == g->mask || g->index == g->mask)
        return op_undefined;
    op.extra = g;
    op.index = kZeroRegister;
    op.scale = 0;
    return handler;
}

}  // namespace

Handler select_gather(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_VGATHERDPS:
        case ZYDIS_MNEMONIC_VPGATHERDD:
            return select(decoded, op, 4, 4, op_gather<int32_t, uint32_t>);
        case ZYDIS_MNEMONIC_VGATHERDPD:
        case ZYDIS_MNEMONIC_VPGATHERDQ:
            return select(decoded, op, 4, 8, op_gather<int32_t, uint64_t>);
        case ZYDIS_MNEMONIC_VGATHERQPS:
        case ZYDIS_MNEMONIC_VPGATHERQD:
            return select(decoded, op, 8, 4, op_gather<int64_t, uint32_t>);
        case ZYDIS_MNEMONIC_VGATHERQPD:
        case ZYDIS_MNEMONIC_VPGATHERQQ:
            return select(decoded, op, 8, 8, op_gather<int64_t, uint64_t>);
        default: return nullptr;
    }
}

}  // namespace banyan::interp
