#include "cpu/interp/native_recipe.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include "cpu/interp/cpu_model.hpp"

namespace banyan::interp {
namespace {

enum StandIn : unsigned { kReg, kRm, kVvvv };

class Encoder {
public:
    Encoder(const Decoded& decoded, Recipe& recipe, bool without_f3)
        : in_(decoded.instruction), decoded_(decoded), recipe_(recipe), without_f3_(without_f3) {}

    bool encode() {
        if ((in_.attributes & ZYDIS_ATTRIB_HAS_MODRM) == 0) return false;
        reg_ = in_.raw.modrm.reg;
        rm_ = in_.raw.modrm.rm;
        for (unsigned i = 0; i < in_.operand_count_visible; ++i)
            place(decoded_.operands[i]);
        switch (in_.encoding) {
            case ZYDIS_INSTRUCTION_ENCODING_LEGACY: emit_legacy(); break;
            case ZYDIS_INSTRUCTION_ENCODING_VEX: emit_vex(); break;
            case ZYDIS_INSTRUCTION_ENCODING_EVEX: emit_evex(); break;
            default: return false;
        }
        byte(in_.opcode);
        byte(static_cast<uint8_t>((memory_ ? 0U : 0xC0U) | ((reg_ & 7U) << 3) | (rm_ & 7U)));
        emit_tail();
        return true;
    }

private:
    void byte(unsigned b) {
        if (recipe_.length < recipe_.code.size())
            recipe_.code[recipe_.length++] = static_cast<uint8_t>(b);
    }

    // Which number goes into the field that this operand is encoded in.
    void place(const ZydisDecodedOperand& operand) {
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
            memory_ = true;
            rm_ = kMemoryBase;
            return;
        }
        if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return;
        const ZydisRegister name = operand.reg.value;
        unsigned number = static_cast<unsigned>(std::max<int>(ZydisRegisterGetId(name), 0));
        switch (operand.encoding) {
            case ZYDIS_OPERAND_ENCODING_MODRM_REG: reg_ = stand_in(kReg, name, number); break;
            case ZYDIS_OPERAND_ENCODING_MODRM_RM: rm_ = stand_in(kRm, name, number); break;
            case ZYDIS_OPERAND_ENCODING_NDSNDD: vvvv_ = stand_in(kVvvv, name, number); break;
            case ZYDIS_OPERAND_ENCODING_IS4:
                is4_ = true;
                is4_register_ = number;
                break;
            default: break;
        }
    }

    unsigned stand_in(StandIn which, ZydisRegister name, unsigned number) {
        const ZydisRegisterClass kind = ZydisRegisterGetClass(name);
        const bool high_byte = name >= ZYDIS_REGISTER_AH && name <= ZYDIS_REGISTER_BH;
        switch (kind) {
            case ZYDIS_REGCLASS_GPR8:
                // Zydis numbers AL CL DL BL AH CH DH BH SPL BPL SIL DIL R8B...
                if (!high_byte && name >= ZYDIS_REGISTER_SPL) number -= 4;
                recipe_.gpr[which] = high_byte
                                         ? static_cast<uint8_t>((name - ZYDIS_REGISTER_AH) * 8 + 1)
                                         : static_cast<uint8_t>(number * 8);
                break;
            case ZYDIS_REGCLASS_GPR16:
            case ZYDIS_REGCLASS_GPR32:
            case ZYDIS_REGCLASS_GPR64: recipe_.gpr[which] = static_cast<uint8_t>(number * 8); break;
            default: return number;
        }
        gpr_ = true;
        return kStandIns[which];
    }

    // In 16-bit code the operand size prefix means the opposite of what it means to the host.
    bool wants_operand_size_prefix() const {
        for (unsigned i = 0; i < in_.raw.prefix_count; ++i) {
            if (in_.raw.prefixes[i].value == 0x66 &&
                in_.raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY) {
                return true;
            }
        }
        return gpr_ && in_.operand_width == 16;
    }

    void emit_legacy() {
        if (wants_operand_size_prefix()) byte(0x66);
        for (unsigned i = 0; i < in_.raw.prefix_count; ++i) {
            const auto& prefix = in_.raw.prefixes[i];
            const bool repeat = prefix.value == 0xF2 || prefix.value == 0xF3;
            if (repeat && prefix.type == ZYDIS_PREFIX_TYPE_MANDATORY && !without_f3_)
                byte(prefix.value);
        }
        const bool wide = (in_.attributes & ZYDIS_ATTRIB_HAS_REX) != 0 && in_.raw.rex.W != 0;
        const unsigned rex = (wide ? 8U : 0U) | ((reg_ >> 1) & 4U) | ((rm_ >> 3) & 1U);
        if (rex != 0) byte(0x40U | rex);
        if (in_.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) byte(0x0F);
        if (in_.opcode_map == ZYDIS_OPCODE_MAP_0F38) byte(0x38);
        if (in_.opcode_map == ZYDIS_OPCODE_MAP_0F3A) byte(0x3A);
    }

    // Outside 64-bit mode VEX.W does not choose the size of general registers and of what is moved
    // to and from them (Intel SDM vol. 2: "VEX.W1 is ignored in non-64-bit mode").
    bool ignores_w() const {
        if (decoded_.mode.has(Mode::kCode64)) return false;
        switch (in_.mnemonic) {
            case ZYDIS_MNEMONIC_VMOVD:
            case ZYDIS_MNEMONIC_VPEXTRD:
            case ZYDIS_MNEMONIC_VPINSRD:
            case ZYDIS_MNEMONIC_VCVTSI2SD:
            case ZYDIS_MNEMONIC_VCVTSI2SS:
            case ZYDIS_MNEMONIC_VCVTUSI2SD:
            case ZYDIS_MNEMONIC_VCVTUSI2SS: return true;
            default: return gpr_;
        }
    }

    void emit_vex() {
        const auto& vex = in_.raw.vex;
        byte(0xC4);
        byte((reg_ < 8 ? 0x80U : 0U) | 0x40U | (rm_ < 8 ? 0x20U : 0U) |
             static_cast<unsigned>(in_.opcode_map));
        byte((vex.W != 0 && !ignores_w() ? 0x80U : 0U) | ((~vvvv_ & 15U) << 3) |
             (static_cast<unsigned>(vex.L) << 2) | vex.pp);
        recipe_.clears_zmm_high = decoded_.model.has(Feature::avx512f);
    }

    // Vector registers have five bits: X is the fifth of ModRM.rm. L'L, b, z and aaa stay.
    void emit_evex() {
        const auto& evex = in_.raw.evex;
        byte(0x62);
        byte((reg_ & 8U ? 0U : 0x80U) | (rm_ & 16U ? 0U : 0x40U) | (rm_ & 8U ? 0U : 0x20U) |
             (reg_ & 16U ? 0U : 0x10U) | evex.mmm);
        byte((evex.W != 0 && !ignores_w() ? 0x80U : 0U) | ((~vvvv_ & 15U) << 3) | 4U | evex.pp);
        byte((static_cast<unsigned>(evex.z) << 7) | (static_cast<unsigned>(evex.L2) << 6) |
             (static_cast<unsigned>(evex.L) << 5) | (static_cast<unsigned>(evex.b) << 4) |
             (vvvv_ & 16U ? 0U : 8U) | evex.aaa);
    }

    // Immediates.
    void emit_tail() {
        const auto& raw = in_.raw;
        unsigned at = raw.modrm.offset + 1U;
        if (raw.sib.offset != 0) at = raw.sib.offset + 1U;
        if (raw.disp.size != 0) at = raw.disp.offset + raw.disp.size / 8U;
        for (; at < in_.length; ++at) {
            byte(is4_ ? (is4_register_ << 4) | (decoded_.bytes[at] & 15U) : decoded_.bytes[at]);
        }
    }

    const ZydisDecodedInstruction& in_;
    const Decoded& decoded_;
    Recipe& recipe_;
    bool without_f3_;
    bool memory_ = false;
    bool gpr_ = false;
    bool is4_ = false;
    unsigned reg_ = 0;
    unsigned rm_ = 0;
    unsigned vvvv_ = 0;
    unsigned is4_register_ = 0;
};

bool is_gpr(ZydisRegister name) {
    const ZydisRegisterClass kind = ZydisRegisterGetClass(name);
    return kind == ZYDIS_REGCLASS_GPR8 || kind == ZYDIS_REGCLASS_GPR16 ||
           kind == ZYDIS_REGCLASS_GPR32 || kind == ZYDIS_REGCLASS_GPR64;
}

bool same_operand(const ZydisDecodedOperand& guest, const ZydisDecodedOperand& host) {
    if (guest.type != host.type || guest.size != host.size || guest.actions != host.actions)
        return false;
    switch (guest.type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            return is_gpr(guest.reg.value) ? ZydisRegisterGetClass(guest.reg.value) ==
                                                 ZydisRegisterGetClass(host.reg.value)
                                           : guest.reg.value == host.reg.value;
        case ZYDIS_OPERAND_TYPE_MEMORY:
            return host.mem.base == ZYDIS_REGISTER_R9 && host.mem.index == ZYDIS_REGISTER_NONE &&
                   host.mem.disp.value == 0;
        case ZYDIS_OPERAND_TYPE_IMMEDIATE: return guest.imm.value.u == host.imm.value.u;
        default: return false;
    }
}

}  // namespace

size_t RecipeHash::operator()(const Recipe& recipe) const {
    static_assert(sizeof(Recipe) == 21);
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(&recipe), sizeof(recipe)});
}

bool decode_recipe(const Recipe& recipe, RecipeDetails& details) {
    ZydisDecoder decoder;
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return false;
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, recipe.code.data(), recipe.length,
                                               &details.instruction, details.operands.data())) &&
           details.instruction.length == recipe.length;
}

// The decoder has the last word on what the code does: a guest must not be able to smuggle in
// anything that was not selected.
bool make_recipe(const Decoded& decoded, Recipe& recipe, bool without_f3) {
    RecipeDetails details;
    if (!Encoder(decoded, recipe, without_f3).encode() || !decode_recipe(recipe, details))
        return false;
    const ZydisDecodedInstruction& host = details.instruction;
    if (!without_f3 && host.mnemonic != decoded.instruction.mnemonic) return false;
    if (host.operand_count_visible != decoded.instruction.operand_count_visible) return false;
    return std::equal(decoded.operands, decoded.operands + host.operand_count_visible,
                      details.operands.begin(),
                      [&](const ZydisDecodedOperand& guest, const ZydisDecodedOperand& own) {
                          return without_f3 ? guest.type == own.type && guest.size == own.size
                                            : same_operand(guest, own);
                      });
}

}  // namespace banyan::interp
