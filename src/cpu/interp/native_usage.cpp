#include "cpu/interp/native_usage.hpp"

#include <algorithm>

namespace banyan::interp {
namespace {

bool raises_simd_exceptions(const ZydisDecodedInstruction& instruction) {
    switch (instruction.meta.exception_class) {
        case ZYDIS_EXCEPTION_CLASS_SSE2:
        case ZYDIS_EXCEPTION_CLASS_SSE3:
        case ZYDIS_EXCEPTION_CLASS_AVX2:
        case ZYDIS_EXCEPTION_CLASS_AVX3:
        case ZYDIS_EXCEPTION_CLASS_AVX11: return true;
        default: break;
    }
    // Conversions from and to MMX registers have no class in Zydis.
    switch (instruction.mnemonic) {
        case ZYDIS_MNEMONIC_CVTPI2PS:
        case ZYDIS_MNEMONIC_CVTPS2PI:
        case ZYDIS_MNEMONIC_CVTTPS2PI:
        case ZYDIS_MNEMONIC_CVTPI2PD:
        case ZYDIS_MNEMONIC_CVTPD2PI:
        case ZYDIS_MNEMONIC_CVTTPD2PI: return true;
        default: return false;
    }
}

class Analyst {
public:
    Analyst(const Recipe& recipe, const RecipeDetails& details)
        : recipe_(recipe), details_(details) {}

    Usage analyse() {
        const ZydisDecodedInstruction& in = details_.instruction;
        usage_.vex = in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
        usage_.mxcsr = raises_simd_exceptions(in);
        usage_.x87 =
            in.meta.category == ZYDIS_CATEGORY_X87_ALU || in.meta.category == ZYDIS_CATEGORY_FCMOV;
        if (const ZydisAccessedFlags* f = in.cpu_flags) {
            usage_.flags = (f->tested | f->modified | f->set_0 | f->set_1 | f->undefined) != 0;
        }
        for (unsigned i = 0; i < in.operand_count; ++i)
            note(details_.operands[i]);
        return usage_;
    }

private:
    void note(const ZydisDecodedOperand& operand) {
        const bool read = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
        const bool write = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
            usage_.memory_size = operand.size / 8U;
            usage_.stores = write;
        }
        if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return;
        const auto id = static_cast<unsigned>(ZydisRegisterGetId(operand.reg.value));
        switch (ZydisRegisterGetClass(operand.reg.value)) {
            case ZYDIS_REGCLASS_XMM: note_vector(id, 16, read, write); break;
            case ZYDIS_REGCLASS_YMM: note_vector(id, 32, read, write); break;
            case ZYDIS_REGCLASS_MMX:
                usage_.mmx = true;
                usage_.mmx_read[id] = true;
                usage_.mmx_write[id] = usage_.mmx_write[id] || write;
                break;
            case ZYDIS_REGCLASS_GPR8:
            case ZYDIS_REGCLASS_GPR16:
            case ZYDIS_REGCLASS_GPR32:
            case ZYDIS_REGCLASS_GPR64: note_general(operand, read, write); break;
            default: break;
        }
    }

    // Legacy instructions keep what they do not write of a register, which Zydis does not call
    // reading.
    void note_vector(unsigned id, uint8_t size, bool read, bool write) {
        Usage::Vector& v = usage_.vectors[id];
        if (read || !usage_.vex) v.read = std::max(v.read, size);
        if (write) v.write = usage_.vex ? 32 : 16;
        usage_.wide = usage_.wide || size == 32;
    }

    void note_general(const ZydisDecodedOperand& operand, bool read, bool write) {
        Usage::General g;
        unsigned host = static_cast<unsigned>(ZydisRegisterGetId(operand.reg.value));
        if (operand.size == 8) host -= 4;  // Zydis counts AH..BH before R8B
        g.host = static_cast<uint8_t>(host);
        g.size = static_cast<uint8_t>(operand.size / 8);
        const auto* stand_in = std::find(kStandIns.begin(), kStandIns.end(), g.host);
        g.offset = stand_in != kStandIns.end()
                       ? recipe_.gpr[static_cast<size_t>(stand_in - kStandIns.begin())]
                       : static_cast<uint8_t>(host * 8);
        // Narrow results leave the rest of the register; BSF and BSR of 0 leave all of it.
        const ZydisMnemonic mnemonic = details_.instruction.mnemonic;
        g.read =
            read || g.size < 4 || mnemonic == ZYDIS_MNEMONIC_BSF || mnemonic == ZYDIS_MNEMONIC_BSR;
        g.write = write;
        usage_.general[usage_.general_count++] = g;
    }

    const Recipe& recipe_;
    const RecipeDetails& details_;
    Usage usage_;
};

}  // namespace

Usage usage_of(const Recipe& recipe, const RecipeDetails& details) {
    return Analyst(recipe, details).analyse();
}

}  // namespace banyan::interp
