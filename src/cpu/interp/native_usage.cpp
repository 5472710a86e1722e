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
        case ZYDIS_EXCEPTION_CLASS_AVX11:
        case ZYDIS_EXCEPTION_CLASS_E2:
        case ZYDIS_EXCEPTION_CLASS_E2NF:
        case ZYDIS_EXCEPTION_CLASS_E3:
        case ZYDIS_EXCEPTION_CLASS_E3NF:
        case ZYDIS_EXCEPTION_CLASS_E11:
        case ZYDIS_EXCEPTION_CLASS_E11NF: return true;
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

// Raise nothing, but look at MXCSR.DAZ and FTZ.
bool reads_mxcsr(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_VRCP14PD:
        case ZYDIS_MNEMONIC_VRCP14PS:
        case ZYDIS_MNEMONIC_VRCP14SD:
        case ZYDIS_MNEMONIC_VRCP14SS:
        case ZYDIS_MNEMONIC_VRSQRT14PD:
        case ZYDIS_MNEMONIC_VRSQRT14PS:
        case ZYDIS_MNEMONIC_VRSQRT14SD:
        case ZYDIS_MNEMONIC_VRSQRT14SS:
        case ZYDIS_MNEMONIC_VFPCLASSPD:
        case ZYDIS_MNEMONIC_VFPCLASSPS:
        case ZYDIS_MNEMONIC_VFPCLASSSD:
        case ZYDIS_MNEMONIC_VFPCLASSSS: return true;
        default: return false;
    }
}

// Does an opmask keep elements of memory from faulting? The exception classes without "NF" in their
// names (Intel SDM vol. 2 section 2.8); of some, Zydis 4.0 gives the wrong one.
bool suppresses_faults(const ZydisDecodedInstruction& in) {
    switch (in.mnemonic) {
        case ZYDIS_MNEMONIC_VCVTNE2PS2BF16:
        case ZYDIS_MNEMONIC_VDBPSADBW:
        case ZYDIS_MNEMONIC_VGF2P8AFFINEQB:
        case ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB: return false;
        default: break;
    }
    switch (in.meta.exception_class) {
        case ZYDIS_EXCEPTION_CLASS_E1:
        case ZYDIS_EXCEPTION_CLASS_E2:
        case ZYDIS_EXCEPTION_CLASS_E3:
        case ZYDIS_EXCEPTION_CLASS_E4:
        case ZYDIS_EXCEPTION_CLASS_E5:
        case ZYDIS_EXCEPTION_CLASS_E6:
        case ZYDIS_EXCEPTION_CLASS_E10:
        case ZYDIS_EXCEPTION_CLASS_E11: return true;
        default: return false;
    }
}

// Into how many elements a broadcast puts each that it reads.
unsigned broadcast_elements(ZydisBroadcastMode mode) {
    switch (mode) {
        case ZYDIS_BROADCAST_MODE_1_TO_2:
        case ZYDIS_BROADCAST_MODE_2_TO_4:
        case ZYDIS_BROADCAST_MODE_4_TO_8:
        case ZYDIS_BROADCAST_MODE_8_TO_16: return 2;
        case ZYDIS_BROADCAST_MODE_1_TO_4:
        case ZYDIS_BROADCAST_MODE_2_TO_8:
        case ZYDIS_BROADCAST_MODE_4_TO_16: return 4;
        case ZYDIS_BROADCAST_MODE_1_TO_8:
        case ZYDIS_BROADCAST_MODE_2_TO_16: return 8;
        case ZYDIS_BROADCAST_MODE_1_TO_16: return 16;
        case ZYDIS_BROADCAST_MODE_1_TO_32: return 32;
        case ZYDIS_BROADCAST_MODE_1_TO_64: return 64;
        default: return 1;
    }
}

class Analyst {
public:
    Analyst(const Recipe& recipe, const RecipeDetails& details)
        : recipe_(recipe), details_(details) {}

    Usage analyse() {
        const ZydisDecodedInstruction& in = details_.instruction;
        usage_.evex = in.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
        usage_.vex = in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX || usage_.evex;
        usage_.clears_zmm_high = recipe_.clears_zmm_high;
        usage_.mxcsr = raises_simd_exceptions(in) || reads_mxcsr(in.mnemonic);
        usage_.suppresses_exceptions = in.avx.has_sae != 0 || reads_mxcsr(in.mnemonic);
        usage_.x87 =
            in.meta.category == ZYDIS_CATEGORY_X87_ALU || in.meta.category == ZYDIS_CATEGORY_FCMOV;
        if (const ZydisAccessedFlags* f = in.cpu_flags) {
            usage_.flags = (f->tested | f->modified | f->set_0 | f->set_1 | f->undefined) != 0;
        }
        for (unsigned i = 0; i < in.operand_count; ++i)
            note(details_.operands[i]);
        const bool suppresses = suppresses_faults(in);
        if (usage_.memory_size != 0 && (suppresses || usage_.stores)) note_opmask();
        usage_.opmasked.faults_whole = !suppresses;
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
            case ZYDIS_REGCLASS_ZMM: note_vector(id, 64, read, write); break;
            case ZYDIS_REGCLASS_MASK: note_opmask_register(operand, id, read, write); break;
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
        if (write) v.write = usage_.vex ? std::max<uint8_t>(size, 32) : 16;
        usage_.wide = usage_.wide || size > 16;
    }

    // K0 as the mask of an instruction means none.
    void note_opmask_register(const ZydisDecodedOperand& operand, unsigned id, bool read,
                              bool write) {
        if (operand.encoding == ZYDIS_OPERAND_ENCODING_MASK && id == 0) return;
        usage_.opmask_read[id] = usage_.opmask_read[id] || read;
        usage_.opmask_write[id] = usage_.opmask_write[id] || write;
    }

    void note_opmask() {
        const ZydisDecodedInstruction& in = details_.instruction;
        const ZydisDecodedOperand& memory =
            *std::find_if(details_.operands.begin(), details_.operands.end(), is_memory);
        const ZydisDecodedOperand& first = details_.operands[0];
        OpmaskedMemory& o = usage_.opmasked;
        if (in.avx.mask.mode == ZYDIS_MASK_MODE_DISABLED) return;
        o.opmask = static_cast<uint8_t>(std::max<int>(ZydisRegisterGetId(in.avx.mask.reg), 0));
        const unsigned repeats = broadcast_elements(in.avx.broadcast.mode);
        // Conversions have fewer elements than the vector of their narrower side could hold.
        unsigned elements = std::max<unsigned>(memory.element_count, 1);
        const bool to_vector = !is_memory(first) && is_vector(first.reg.value);
        if (to_vector && repeats == 1) elements = std::min<unsigned>(elements, first.element_count);
        o.elements = static_cast<uint8_t>(elements);
        o.element = static_cast<uint8_t>(usage_.memory_size / elements);
        o.bits = static_cast<uint8_t>(elements * repeats);
        if (repeats > 1) o.order = OpmaskedMemory::Order::repeated;
        if (in.meta.category == ZYDIS_CATEGORY_COMPRESS ||
            in.meta.category == ZYDIS_CATEGORY_EXPAND) {
            o.order = OpmaskedMemory::Order::packed;
        }
    }

    static bool is_memory(const ZydisDecodedOperand& operand) {
        return operand.type == ZYDIS_OPERAND_TYPE_MEMORY;
    }
    static bool is_vector(ZydisRegister name) {
        const ZydisRegisterClass kind = ZydisRegisterGetClass(name);
        return kind == ZYDIS_REGCLASS_XMM || kind == ZYDIS_REGCLASS_YMM ||
               kind == ZYDIS_REGCLASS_ZMM;
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
