// Moves under a mask: MASKMOVDQU, MASKMOVQ, VMASKMOVPS/PD, VPMASKMOVD/Q. What the mask leaves out
// never faults.
#include <array>
#include <cstring>
#include <span>

#include "cpu/interp/arena.hpp"
#include "cpu/interp/native_access.hpp"
#include "cpu/interp/native_families.hpp"
#include "cpu/interp/native_thunk.hpp"
#include "cpu/interp/native_wide.hpp"
#include "cpu/interp/native_x87_state.hpp"

namespace banyan::interp {
namespace {

// What VMASKMOV needs beside its thunk, which must come first (thunk_of()).
struct MaskedMove {
    Thunk thunk;
    uint8_t data = 0;  // register numbers
    uint8_t mask = 0;
    uint8_t element = 0;  // bytes
    bool stores = false;
};

bool masked(std::span<const std::byte> mask, unsigned end_of_element) {
    return (std::to_integer<unsigned>(mask[end_of_element - 1]) & 0x80U) != 0;
}

// Element by element, for what is not plain memory in one page.
bool load_elements(Cpu& cpu, const Op* op, const MaskedMove& move,
                   std::array<std::byte, 32>& result) {
    const auto& mask = cpu.vectors.ymm[move.mask];
    for (unsigned at = 0; at < move.thunk.memory_size; at += move.element) {
        if (!masked(mask, at + move.element)) continue;
        uint64_t linear;
        if (!operand_linear(cpu, op, move.element, Access::read, linear, at)) return false;
        if (!cpu.read_slow(op, linear, &result[at], move.element, cpu.view)) return false;
    }
    return true;
}

// All elements are checked before the first is written.
bool store_elements(Cpu& cpu, const Op* op, const MaskedMove& move) {
    const auto& mask = cpu.vectors.ymm[move.mask];
    std::array<uint64_t, 8> linear{};
    for (unsigned at = 0; at < move.thunk.memory_size; at += move.element) {
        if (!masked(mask, at + move.element)) continue;
        uint64_t& here = linear[at / move.element];
        if (!operand_linear(cpu, op, move.element, Access::write, here, at)) return false;
        if (!cpu.probe(op, here, move.element, Access::write, cpu.view)) return false;
    }
    for (unsigned at = 0; at < move.thunk.memory_size; at += move.element) {
        if (!masked(mask, at + move.element)) continue;
        const std::byte* data = &cpu.vectors.ymm[move.data][at];
        if (!cpu.write_slow(op, linear[at / move.element], data, move.element, cpu.view)) {
            return false;
        }
    }
    return true;
}

[[gnu::noinline]] void vmaskmov_slowly(Cpu& cpu, const Op* op) {
    const auto& move = *static_cast<const MaskedMove*>(op->extra);
    if (move.stores) {
        if (!store_elements(cpu, op, move)) return;
    } else {
        std::array<std::byte, 32> result{};
        if (!load_elements(cpu, op, move, result)) return;
        cpu.vectors.ymm[move.data] = result;
        clear_zmm_high(cpu, move.data);
    }
    NEXT(cpu, op);
}

void op_vmaskmov(Cpu& cpu, const Op* op) {
    const Thunk& thunk = thunk_of(op);
    const uint64_t linear = cpu.effective_address(op) + cpu.base[op->segment];
    if ((op->bits & (Op::kCheckSegment | Op::kCheckAlignment)) != 0)
        return vmaskmov_slowly(cpu, op);
    const Access access = thunk.stores ? Access::write : Access::read;
    std::byte* host = host_address(cpu, linear, thunk.memory_size, access);
    if (host == nullptr) return vmaskmov_slowly(cpu, op);
    return thunk.code(cpu, op, host);
}

// MASKMOVDQU and MASKMOVQ check the whole operand; what the mask leaves out is only not written.
template <unsigned kSize>
bool store_bytes(Cpu& cpu, const Op* op, const std::array<std::byte, kSize>& mask,
                 const std::array<std::byte, kSize>& data) {
    uint64_t linear;
    if (!operand_linear(cpu, op, kSize, Access::write, linear)) return false;
    if (!cpu.probe(op, linear, kSize, Access::write, cpu.view)) return false;
    for (unsigned at = 0; at < kSize; ++at) {
        if (!masked(mask, at + 1)) continue;
        if (!cpu.write_slow(op, linear + at, &data[at], 1, cpu.view)) return false;
    }
    return true;
}

// Register numbers of MASKMOVDQU and MASKMOVQ are in Op::destination (data) and Op::source (mask).
void op_maskmovdqu(Cpu& cpu, const Op* op) {
    std::array<std::byte, 16> data;
    std::array<std::byte, 16> mask;
    std::memcpy(data.data(), cpu.vectors.ymm[op->destination].data(), data.size());
    std::memcpy(mask.data(), cpu.vectors.ymm[op->source].data(), mask.size());
    if (!store_bytes<16>(cpu, op, mask, data)) return;
    NEXT(cpu, op);
}

void op_maskmovq(Cpu& cpu, const Op* op) {
    cpu.settle();
    X87State x87(cpu.vectors);
    if (x87.error_pending()) {
        cpu.raise(op, x86::Vector::mf);
        return;
    }
    std::array<std::byte, 8> data;
    std::array<std::byte, 8> mask;
    x87.rotate_to(0);
    x87.set_tags(0xFF);
    std::memcpy(data.data(), x87.st(op->destination).data(), data.size());
    std::memcpy(mask.data(), x87.st(op->source).data(), mask.size());
    if (!store_bytes<8>(cpu, op, mask, data)) return;
    NEXT(cpu, op);
}

uint8_t register_number(const ZydisDecodedOperand& operand) {
    return static_cast<uint8_t>(ZydisRegisterGetId(operand.reg.value));
}

// Their memory operand is DS:[rDI] and not among the visible ones that the decoder fills in.
void use_rdi(const Decoded& decoded, Op& op) {
    const ZydisDecodedInstruction& in = decoded.instruction;
    op.bits |= Op::kHasMemory;
    op.base = x86::kRdi;
    op.segment = x86::kDs;
    if ((in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_CS) != 0) op.segment = x86::kCs;
    if ((in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_SS) != 0) op.segment = x86::kSs;
    if ((in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_ES) != 0) op.segment = x86::kEs;
    if ((in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0) op.segment = x86::kFs;
    if ((in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS) != 0) op.segment = x86::kGs;
    if (in.address_width == 32) op.bits |= Op::kAddress32;
    if (in.address_width == 16) op.bits |= Op::kAddress16;
    if (!decoded.mode.has(Mode::kCode64)) op.bits |= Op::kCheckSegment;
    op.destination = register_number(decoded.operands[0]);
    op.source = register_number(decoded.operands[1]);
}

Handler select_vmaskmov(const Decoded& decoded, Op& op, uint8_t element) {
    if (select_thunk(decoded, op) == op_undefined) return op_undefined;
    auto* move = decoded.arena.allocate<MaskedMove>();
    move->thunk = thunk_of(&op);
    move->stores = move->thunk.stores;
    move->element = element;
    move->mask = register_number(decoded.operands[1]);
    move->data = register_number(decoded.operands[move->stores ? 2 : 0]);
    op.extra = move;
    return op_vmaskmov;
}

}  // namespace

Handler select_masked(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_MASKMOVDQU:
        case ZYDIS_MNEMONIC_VMASKMOVDQU: use_rdi(decoded, op); return op_maskmovdqu;
        case ZYDIS_MNEMONIC_MASKMOVQ: use_rdi(decoded, op); return op_maskmovq;
        case ZYDIS_MNEMONIC_VMASKMOVPS:
        case ZYDIS_MNEMONIC_VPMASKMOVD: return select_vmaskmov(decoded, op, 4);
        case ZYDIS_MNEMONIC_VMASKMOVPD:
        case ZYDIS_MNEMONIC_VPMASKMOVQ: return select_vmaskmov(decoded, op, 8);
        default: return nullptr;
    }
}

}  // namespace banyan::interp
