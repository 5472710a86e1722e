// From bytes to Ops: Zydis decodes, the general rules fill in the operands, a family supplies the
// handler.
#include <algorithm>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/zydis_decoder.hpp"
#include "cpu/interp/zydis_registers.hpp"

namespace banyan::interp {

void op_undefined(Cpu& cpu, const Op* op) {
    cpu.raise_ud(op);
}

namespace {

// Zydis decoders, one for each code size, as this machine's CPUID has them.
struct Decoders {
    ZydisDecoder long64 = make_decoder64();
    ZydisDecoder code32 = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoder code16 = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);

    const ZydisDecoder& of(Mode mode) const {
        if (mode.has(Mode::kCode64)) return long64;
        return mode.has(Mode::kCode32) ? code32 : code16;
    }
};

const Decoders& decoders() {
    static const Decoders all;
    return all;
}

uint8_t address_register(ZydisRegister r) {
    return r == ZYDIS_REGISTER_NONE ? kZeroRegister : static_cast<uint8_t>(ZydisRegisterGetId(r));
}

// SIB without a base register. Zydis 4.0 names R13D as the base where REX.B is set and the address
// size is 32 bits.
bool lacks_base(const ZydisDecodedInstruction& insn) {
    return insn.address_width != 16 && (insn.attributes & ZYDIS_ATTRIB_HAS_SIB) != 0 &&
           insn.raw.modrm.mod == 0 && insn.raw.sib.base == 5;
}

void fill_memory(const ZydisDecodedInstruction& insn, const ZydisDecodedOperand& operand,
                 uint64_t rip, Mode mode, Op& op) {
    const auto& mem = operand.mem;
    op.bits |= Op::kHasMemory;
    if (insn.address_width == 32) op.bits |= Op::kAddress32;
    if (insn.address_width == 16) op.bits |= Op::kAddress16;
    op.segment = static_cast<uint8_t>(ZydisRegisterGetId(mem.segment));
    op.displacement = insn.raw.disp.size != 0 ? insn.raw.disp.value : 0;
    if (insn.raw.disp.size == 8) op.displacement = mem.disp.value;  // EVEX scales it
    if (mem.base == ZYDIS_REGISTER_RIP || mem.base == ZYDIS_REGISTER_EIP) {
        op.displacement += static_cast<int64_t>(rip + insn.length);
    } else if (!lacks_base(insn)) {
        op.base = address_register(mem.base);
    }
    // VSIB indices are vector registers: their family looks at the operand itself.
    if (ZydisRegisterGetClass(mem.index) <= ZYDIS_REGCLASS_GPR64) {
        op.index = address_register(mem.index);
        op.scale = mem.scale == 8 ? 3 : static_cast<uint8_t>(mem.scale / 2);
    }
    if (mode.has(Mode::kCode64)) {
        // CS, DS, ES and SS have base 0; SS still decides between #SS and #GP.
    } else if (!mode.has(Mode::kFlat) || op.segment == x86::kFs || op.segment == x86::kGs ||
               op.segment == x86::kCs) {
        op.bits |= Op::kCheckSegment;
    }
    if (mode.has(Mode::kAlignmentCheck)) op.bits |= Op::kCheckAlignment;
}

void fill_immediate(const ZydisDecodedInstruction& insn, const ZydisDecodedOperand& operand,
                    uint64_t rip, Mode mode, Op& op) {
    op.immediate = operand.imm.value.u;
    if (!operand.imm.is_relative) return;
    uint64_t target = rip + insn.length + operand.imm.value.u;
    if (!mode.has(Mode::kCode64)) target &= insn.operand_width == 16 ? 0xFFFF : 0xFFFFFFFF;
    op.immediate = target;
}

void fill_operands(const ZydisDecodedInstruction& insn, const ZydisDecodedOperand* operands,
                   uint64_t rip, Mode mode, Op& op) {
    for (unsigned i = 0; i < insn.operand_count_visible; ++i) {
        const ZydisDecodedOperand& operand = operands[i];
        if (is_gpr(operand)) {
            if (op.destination == kNoOperand) {
                op.destination = gpr_offset(operand.reg.value);
            } else if (op.source == kNoOperand) {
                op.source = gpr_offset(operand.reg.value);
            }
        } else if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
            fill_memory(insn, operand, rip, mode, op);
        } else if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            fill_immediate(insn, operand, rip, mode, op);
        }
    }
}

uint16_t prefix_bits(const ZydisDecodedInstruction& insn) {
    uint16_t bits = 0;
    if ((insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) bits |= Op::kLock;
    if ((insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) != 0) bits |= Op::kRep;
    if ((insn.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0) bits |= Op::kRepne;
    return bits;
}

void make_undefined(Op& op, unsigned length) {
    op.handler = op_undefined;
    op.bits |= Op::kEndsBlock;
    op.length = static_cast<uint8_t>(length);
}

// Bytes that are no instruction: #UD, unless more bytes could make one, or there are too many (#GP
// by the caller).
unsigned undefined_bytes(ZyanStatus status, unsigned available, Op& op) {
    if (status == ZYDIS_STATUS_NO_MORE_DATA || status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
        return 0;
    make_undefined(op, std::min(available, 1U));
    return op.length;
}

}  // namespace

unsigned decode(const uint8_t* bytes, unsigned available, uint64_t rip, Mode mode,
                const CpuModel& model, Arena& arena, Op& op) {
    const ZydisDecoder& decoder = decoders().of(mode);
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const ZyanStatus status =
        ZydisDecoderDecodeFull(&decoder, bytes, std::min(available, 15U), &insn, operands);
    if (!ZYAN_SUCCESS(status)) return undefined_bytes(status, available, op);
    op.length = insn.length;
    op.operand_size = static_cast<uint8_t>(insn.operand_width / 8);
    op.bits |= prefix_bits(insn);
    fill_operands(insn, operands, rip, mode, op);
    const Decoded decoded{insn, operands, bytes, rip, mode, model, arena};
    for (const auto select : {select_integer, select_control, select_native, select_system}) {
        op.handler = select(decoded, op);
        if (op.handler == nullptr) continue;
        if (select == select_system) op.bits |= Op::kStartsBlock;
        return op.length;
    }
    make_undefined(op, insn.length);
    return op.length;
}

}  // namespace banyan::interp
