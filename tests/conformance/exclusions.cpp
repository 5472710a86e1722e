#include "conformance/exclusions.hpp"

#include <algorithm>
#include <array>

#include "arch/x86/registers.hpp"
#include "conformance/offered.hpp"

namespace banyan::conformance {

namespace {

bool is_offered_avx512(ZydisISASet set) {
    switch (set) {
        case ZYDIS_ISA_SET_AVX512F_128:
        case ZYDIS_ISA_SET_AVX512F_128N:
        case ZYDIS_ISA_SET_AVX512F_256:
        case ZYDIS_ISA_SET_AVX512F_512:
        case ZYDIS_ISA_SET_AVX512F_KOP:
        case ZYDIS_ISA_SET_AVX512F_SCALAR:
        case ZYDIS_ISA_SET_AVX512BW_128:
        case ZYDIS_ISA_SET_AVX512BW_128N:
        case ZYDIS_ISA_SET_AVX512BW_256:
        case ZYDIS_ISA_SET_AVX512BW_512:
        case ZYDIS_ISA_SET_AVX512BW_KOP:
        case ZYDIS_ISA_SET_AVX512DQ_128:
        case ZYDIS_ISA_SET_AVX512DQ_128N:
        case ZYDIS_ISA_SET_AVX512DQ_256:
        case ZYDIS_ISA_SET_AVX512DQ_512:
        case ZYDIS_ISA_SET_AVX512DQ_KOP:
        case ZYDIS_ISA_SET_AVX512DQ_SCALAR:
        case ZYDIS_ISA_SET_AVX512CD_128:
        case ZYDIS_ISA_SET_AVX512CD_256:
        case ZYDIS_ISA_SET_AVX512CD_512:
        case ZYDIS_ISA_SET_AVX512_IFMA_128:
        case ZYDIS_ISA_SET_AVX512_IFMA_256:
        case ZYDIS_ISA_SET_AVX512_IFMA_512:
        case ZYDIS_ISA_SET_AVX512_VBMI_128:
        case ZYDIS_ISA_SET_AVX512_VBMI_256:
        case ZYDIS_ISA_SET_AVX512_VBMI_512:
        case ZYDIS_ISA_SET_AVX512_VBMI2_128:
        case ZYDIS_ISA_SET_AVX512_VBMI2_256:
        case ZYDIS_ISA_SET_AVX512_VBMI2_512:
        case ZYDIS_ISA_SET_AVX512_VNNI_128:
        case ZYDIS_ISA_SET_AVX512_VNNI_256:
        case ZYDIS_ISA_SET_AVX512_VNNI_512:
        case ZYDIS_ISA_SET_AVX512_BITALG_128:
        case ZYDIS_ISA_SET_AVX512_BITALG_256:
        case ZYDIS_ISA_SET_AVX512_BITALG_512:
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_128:
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_256:
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_512:
        case ZYDIS_ISA_SET_AVX512_BF16_128:
        case ZYDIS_ISA_SET_AVX512_BF16_256:
        case ZYDIS_ISA_SET_AVX512_BF16_512:
        case ZYDIS_ISA_SET_AVX512_GFNI_128:
        case ZYDIS_ISA_SET_AVX512_GFNI_256:
        case ZYDIS_ISA_SET_AVX512_GFNI_512:
        case ZYDIS_ISA_SET_AVX512_VAES_128:
        case ZYDIS_ISA_SET_AVX512_VAES_256:
        case ZYDIS_ISA_SET_AVX512_VAES_512:
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_128:
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_256:
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_512:
            return (offered_components() & x86::kXcr0Avx512) != 0;
        default: return false;
    }
}

// Instruction sets that the interpreter offers. Others raise #UD in the guest but run on a newer
// host.
bool is_offered(ZydisISASet set) {
    switch (set) {
        case ZYDIS_ISA_SET_I86:
        case ZYDIS_ISA_SET_I186:
        case ZYDIS_ISA_SET_I286REAL:
        case ZYDIS_ISA_SET_I386:
        case ZYDIS_ISA_SET_I486REAL:
        case ZYDIS_ISA_SET_PENTIUMREAL:
        case ZYDIS_ISA_SET_PENTIUMMMX:
        case ZYDIS_ISA_SET_PPRO:
        case ZYDIS_ISA_SET_LONGMODE:
        case ZYDIS_ISA_SET_LAHF:
        case ZYDIS_ISA_SET_CMOV:
        case ZYDIS_ISA_SET_FCMOV:
        case ZYDIS_ISA_SET_X87:
        case ZYDIS_ISA_SET_FAT_NOP:
        case ZYDIS_ISA_SET_PREFETCH_NOP:
        case ZYDIS_ISA_SET_SSE_PREFETCH:
        case ZYDIS_ISA_SET_PAUSE:
        case ZYDIS_ISA_SET_CMPXCHG16B:
        case ZYDIS_ISA_SET_SSE:
        case ZYDIS_ISA_SET_SSEMXCSR:
        case ZYDIS_ISA_SET_SSE2:
        case ZYDIS_ISA_SET_SSE2MMX:
        case ZYDIS_ISA_SET_SSE3:
        case ZYDIS_ISA_SET_SSE3X87:
        case ZYDIS_ISA_SET_SSSE3:
        case ZYDIS_ISA_SET_SSSE3MMX:
        case ZYDIS_ISA_SET_SSE4:
        case ZYDIS_ISA_SET_SSE42:
        case ZYDIS_ISA_SET_AES:
        case ZYDIS_ISA_SET_PCLMULQDQ:
        case ZYDIS_ISA_SET_VAES:
        case ZYDIS_ISA_SET_VPCLMULQDQ:
        case ZYDIS_ISA_SET_GFNI:
        case ZYDIS_ISA_SET_AVX_GFNI:
        case ZYDIS_ISA_SET_SHA:
        case ZYDIS_ISA_SET_AVX:
        case ZYDIS_ISA_SET_AVXAES:
        case ZYDIS_ISA_SET_AVX2:
        case ZYDIS_ISA_SET_AVX2GATHER:
        case ZYDIS_ISA_SET_AVX_VNNI:
        case ZYDIS_ISA_SET_FMA:
        case ZYDIS_ISA_SET_F16C:
        case ZYDIS_ISA_SET_BMI1:
        case ZYDIS_ISA_SET_BMI2:
        case ZYDIS_ISA_SET_LZCNT:
        case ZYDIS_ISA_SET_POPCNT:
        case ZYDIS_ISA_SET_MOVBE:
        case ZYDIS_ISA_SET_ADOX_ADCX:
        case ZYDIS_ISA_SET_CLFSH:
        case ZYDIS_ISA_SET_CLFLUSHOPT:
        case ZYDIS_ISA_SET_CLWB: return true;
        default: return is_offered_avx512(set);
    }
}

// Leave the case's code, or ask the kernel of the host for something.
bool leaves_the_case(const ZydisDecodedInstruction& instruction) {
    constexpr std::array kCategories = {ZYDIS_CATEGORY_CALL,      ZYDIS_CATEGORY_RET,
                                        ZYDIS_CATEGORY_UNCOND_BR, ZYDIS_CATEGORY_COND_BR,
                                        ZYDIS_CATEGORY_SYSCALL,   ZYDIS_CATEGORY_SYSRET,
                                        ZYDIS_CATEGORY_INTERRUPT, ZYDIS_CATEGORY_SYSTEM,
                                        ZYDIS_CATEGORY_IO,        ZYDIS_CATEGORY_IOSTRINGOP};
    return std::find(kCategories.begin(), kCategories.end(), instruction.meta.category) !=
           kCategories.end();
}

// Show what differs between a process of the host and the bare guest, not how the instruction
// works.
bool shows_the_environment(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        // Time, identity, host kernel settings (UMIP, XCR0).
        case ZYDIS_MNEMONIC_RDTSC:
        case ZYDIS_MNEMONIC_RDTSCP:
        case ZYDIS_MNEMONIC_RDPID:
        case ZYDIS_MNEMONIC_CPUID:
        case ZYDIS_MNEMONIC_XGETBV:
        case ZYDIS_MNEMONIC_RDRAND:
        case ZYDIS_MNEMONIC_RDSEED:
        case ZYDIS_MNEMONIC_SGDT:
        case ZYDIS_MNEMONIC_SIDT:
        case ZYDIS_MNEMONIC_SLDT:
        case ZYDIS_MNEMONIC_STR:
        case ZYDIS_MNEMONIC_SMSW:
        // The host's descriptor tables.
        case ZYDIS_MNEMONIC_LAR:
        case ZYDIS_MNEMONIC_LSL:
        case ZYDIS_MNEMONIC_VERR:
        case ZYDIS_MNEMONIC_VERW:
        case ZYDIS_MNEMONIC_LFS:
        case ZYDIS_MNEMONIC_LGS:
        case ZYDIS_MNEMONIC_LSS:
        // Flags that the host's kernel sets for its processes (IF, ID) and that would trap here
        // (TF, AC).
        case ZYDIS_MNEMONIC_PUSHF:
        case ZYDIS_MNEMONIC_PUSHFD:
        case ZYDIS_MNEMONIC_PUSHFQ:
        case ZYDIS_MNEMONIC_POPF:
        case ZYDIS_MNEMONIC_POPFD:
        case ZYDIS_MNEMONIC_POPFQ:
        // Images with instruction pointers and components that the guest does not have; unit tests
        // cover them.
        case ZYDIS_MNEMONIC_FNSTENV:
        case ZYDIS_MNEMONIC_FNSAVE:
        case ZYDIS_MNEMONIC_FLDENV:
        case ZYDIS_MNEMONIC_FRSTOR:
        case ZYDIS_MNEMONIC_FXSAVE:
        case ZYDIS_MNEMONIC_FXSAVE64:
        case ZYDIS_MNEMONIC_FXRSTOR:
        case ZYDIS_MNEMONIC_FXRSTOR64: return true;
        default: return false;
    }
}

// PREFETCHW with a register operand is #UD on AMD and a NOP on Intel.
bool differs_by_vendor(const ZydisDecodedInstruction& instruction) {
    return instruction.opcode_map == ZYDIS_OPCODE_MAP_0F && instruction.opcode == 0x0D;
}

// Segment registers hold other selectors on the host; FS carries the host's thread.
bool touches_segments(const ZydisDecodedInstruction& instruction,
                      const ZydisDecodedOperand* operands) {
    for (unsigned i = 0; i < instruction.operand_count; ++i) {
        const ZydisDecodedOperand& operand = operands[i];
        if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT) {
            return true;
        }
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
            (operand.mem.segment == ZYDIS_REGISTER_FS ||
             operand.mem.segment == ZYDIS_REGISTER_GS)) {
            return true;
        }
    }
    return false;
}

}  // namespace

bool reads_two_operands(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_CMPSB || mnemonic == ZYDIS_MNEMONIC_CMPSW ||
           mnemonic == ZYDIS_MNEMONIC_CMPSD || mnemonic == ZYDIS_MNEMONIC_CMPSQ;
}

uint32_t simd_flags_ignored(ZydisMnemonic mnemonic) {
    constexpr uint32_t kAll = 0x3F;
    constexpr uint32_t kPrecision = 0x20;
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_DPPS:
        case ZYDIS_MNEMONIC_DPPD:
        case ZYDIS_MNEMONIC_VDPPS:
        case ZYDIS_MNEMONIC_VDPPD: return kAll;
        default: return kPrecision;
    }
}

bool is_allowed(const ZydisDecodedInstruction& instruction, const ZydisDecodedOperand* operands) {
    // MOVSXD of 16 bits reads two bytes of memory on Intel's processors, four on AMD's.
    if (instruction.mnemonic == ZYDIS_MNEMONIC_MOVSXD && instruction.operand_width == 16)
        return false;
    return is_offered(instruction.meta.isa_set) && !leaves_the_case(instruction) &&
           !shows_the_environment(instruction.mnemonic) && !differs_by_vendor(instruction) &&
           !touches_segments(instruction, operands);
}

}  // namespace banyan::conformance
