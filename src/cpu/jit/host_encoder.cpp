#include "cpu/jit/host_encoder.hpp"

#include <algorithm>

#include "cpu/interp/zydis_registers.hpp"

namespace banyan::jit {

namespace {

// ADD to CMP and MOV, with both operands in ModRM: bit 1 of the opcode says which one is written.
bool has_direction(const ZydisDecodedInstruction& in) {
    if (in.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
    return (in.opcode < 0x40 && (in.opcode & 7U) < 4) || (in.opcode & 0xFCU) == 0x88;
}

bool is_gpr_number(const ZydisDecodedOperand& operand, unsigned gpr) {
    return interp::is_gpr(operand) && interp::gpr_offset(operand.reg.value) / 8U == gpr;
}

// Memory means something else to it than a register: a bit string, a lock.
bool treats_memory_otherwise(const Instruction& instruction) {
    const ZydisMnemonic mnemonic = instruction.zydis.mnemonic;
    return is_bit_test(mnemonic) || mnemonic == ZYDIS_MNEMONIC_XCHG ||
           instruction.op->has(interp::Op::kNative) ||
           instruction.zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY;
}

}  // namespace

bool takes_register_in_memory(const Instruction& instruction, unsigned gpr) {
    if (instruction.memory >= 0 || treats_memory_otherwise(instruction)) return false;
    const ZydisDecodedOperand* found = nullptr;
    for (unsigned i = 0; i < instruction.zydis.operand_count_visible; ++i) {
        if (!is_gpr_number(instruction.operands[i], gpr)) continue;
        if (found != nullptr) return false;
        found = &instruction.operands[i];
    }
    if (found == nullptr) return false;
    // A 32-bit result would have to clear the upper half.
    const bool written = (found->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    if (written && found->size == 32) return false;
    if (found->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) return true;
    return found->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG && has_direction(instruction.zydis);
}

HostEncoder::HostEncoder(const Instruction& instruction, const std::array<uint8_t, 16>& host_of,
                         HostAddress address, unsigned in_memory)
    : instruction_(instruction),
      in_(instruction.zydis),
      host_of_(host_of),
      address_(address),
      in_memory_(in_memory),
      memory_(instruction.memory >= 0 || in_memory != kNone),
      has_modrm_((instruction.zydis.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0) {
    place_operands();
    switch (in_.encoding) {
        case ZYDIS_INSTRUCTION_ENCODING_LEGACY: emit_legacy(); break;
        case ZYDIS_INSTRUCTION_ENCODING_VEX: emit_vex(); break;
        case ZYDIS_INSTRUCTION_ENCODING_EVEX: emit_evex(); break;
        default: fails_ = true; return;
    }
    const unsigned opcode =
        opcode_register_ ? (in_.opcode & 0xF8U) | (*opcode_register_ & 7U) : in_.opcode;
    byte(flips_ ? opcode ^ 2U : opcode);
    if (has_modrm_) emit_modrm();
    emit_tail();
}

void HostEncoder::place_operands() {
    if (has_modrm_) {
        reg_ = in_.raw.modrm.reg;  // what is no operand extends the opcode
        rm_ = in_.raw.modrm.rm;
    }
    for (unsigned i = 0; i < in_.operand_count_visible; ++i)
        place(instruction_.operands[i]);
    if (in_memory_ == kNone) return;
    flips_ = std::any_of(instruction_.operands.begin(),
                         instruction_.operands.begin() + in_.operand_count_visible,
                         [this](const ZydisDecodedOperand& operand) {
                             return is_gpr_number(operand, in_memory_) &&
                                    operand.encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG;
                         });
    if (flips_) reg_ = rm_;
    rm_ = address_.base;
}

void HostEncoder::place(const ZydisDecodedOperand& operand) {
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
        rm_ = address_.base;
        return;
    }
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return;
    switch (operand.encoding) {
        case ZYDIS_OPERAND_ENCODING_MODRM_REG: reg_ = number_of(operand); break;
        case ZYDIS_OPERAND_ENCODING_MODRM_RM: rm_ = number_of(operand); break;
        case ZYDIS_OPERAND_ENCODING_NDSNDD: vvvv_ = number_of(operand); break;
        case ZYDIS_OPERAND_ENCODING_OPCODE: opcode_register_ = number_of(operand); break;
        default: break;  // implied by the opcode: the same on the host; IS4 is a vector register
    }
}

uint8_t HostEncoder::number_of(const ZydisDecodedOperand& operand) {
    if (!interp::is_gpr(operand))
        return static_cast<uint8_t>(std::max<int>(ZydisRegisterGetId(operand.reg.value), 0));
    const uint8_t offset = interp::gpr_offset(operand.reg.value);
    if ((offset & 1U) != 0) {  // AH to DH
        forbids_rex_ = true;
        return static_cast<uint8_t>(offset / 8 + 4);
    }
    const uint8_t host = host_of_[offset / 8];
    needs_rex_ |= operand.size == 8 && host >= 4;
    return host;
}

void HostEncoder::emit_legacy() {
    for (unsigned i = 0; i < in_.raw.prefix_count; ++i) {
        const uint8_t prefix = in_.raw.prefixes[i].value;
        if (prefix == 0x66 || prefix == 0xF0 || prefix == 0xF2 || prefix == 0xF3) byte(prefix);
    }
    const unsigned b = opcode_register_ ? *opcode_register_ : rm_;
    const bool wide = (in_.attributes & ZYDIS_ATTRIB_HAS_REX) != 0 && in_.raw.rex.W != 0;
    const unsigned rex = (wide ? 8U : 0U) | ((reg_ >> 1) & 4U) | ((b >> 3) & 1U);
    if (rex != 0 || needs_rex_) byte(0x40U | rex);
    fails_ = forbids_rex_ && (rex != 0 || needs_rex_);
    if (in_.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) byte(0x0F);
    if (in_.opcode_map == ZYDIS_OPCODE_MAP_0F38) byte(0x38);
    if (in_.opcode_map == ZYDIS_OPCODE_MAP_0F3A) byte(0x3A);
}

void HostEncoder::emit_vex() {
    const auto& vex = in_.raw.vex;
    byte(0xC4);
    byte((reg_ < 8 ? 0x80U : 0U) | 0x40U | (rm_ < 8 ? 0x20U : 0U) |
         static_cast<unsigned>(in_.opcode_map));
    byte((vex.W != 0 ? 0x80U : 0U) | ((~vvvv_ & 15U) << 3) | (static_cast<unsigned>(vex.L) << 2) |
         vex.pp);
}

// Vector registers have five bits: X is the fifth of ModRM.rm. L'L, b, z and aaa stay.
void HostEncoder::emit_evex() {
    const auto& evex = in_.raw.evex;
    byte(0x62);
    byte((reg_ & 8U ? 0U : 0x80U) | (rm_ & 16U ? 0U : 0x40U) | (rm_ & 8U ? 0U : 0x20U) |
         (reg_ & 16U ? 0U : 0x10U) | evex.mmm);
    byte((evex.W != 0 ? 0x80U : 0U) | ((~vvvv_ & 15U) << 3) | 4U | evex.pp);
    byte((static_cast<unsigned>(evex.z) << 7) | (static_cast<unsigned>(evex.L2) << 6) |
         (static_cast<unsigned>(evex.L) << 5) | (static_cast<unsigned>(evex.b) << 4) |
         (vvvv_ & 16U ? 0U : 8U) | evex.aaa);
}

// EVEX scales a displacement of one byte: it gets four.
void HostEncoder::emit_modrm() {
    const unsigned fields = ((reg_ & 7U) << 3) | (rm_ & 7U);
    constexpr unsigned kSib = 4;
    constexpr unsigned kNoBase = 5;  // without a displacement
    if (!memory_) return byte(0xC0U | fields);
    const int32_t displacement = address_.displacement;
    const bool none = displacement == 0 && (rm_ & 7U) != kNoBase;
    const bool short_one = displacement >= -128 && displacement < 128 &&
                           in_.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX;
    byte((none ? 0U : short_one ? 0x40U : 0x80U) | fields);
    if ((rm_ & 7U) == kSib) byte(0x24);  // RSP or R12, without an index
    if (none) return;
    if (short_one) return byte(static_cast<uint8_t>(displacement));
    for (unsigned shift = 0; shift < 32; shift += 8)
        byte(static_cast<uint32_t>(address_.displacement) >> shift & 0xFFU);
}

// Immediates: what comes after the opcode, or after the address.
void HostEncoder::emit_tail() {
    const auto& raw = in_.raw;
    unsigned at = in_.length;
    if (has_modrm_) {
        at = raw.modrm.offset + 1U;
        if (raw.sib.offset != 0) at = raw.sib.offset + 1U;
        if (raw.disp.size != 0) at = raw.disp.offset + raw.disp.size / 8U;
    } else if (raw.imm[0].size != 0) {
        at = raw.imm[0].offset;
    }
    for (; at < in_.length; ++at)
        byte(instruction_.bytes[at]);
}

}  // namespace banyan::jit
