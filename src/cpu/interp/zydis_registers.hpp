// Zydis' names of general registers as byte offsets into Cpu::gpr: AH is 1, R15D is 120.
#pragma once

#include <Zydis/Zydis.h>
#include <cstdint>

namespace banyan::interp {

inline uint8_t wide_register_offset(ZydisRegister r) {
    if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
        return static_cast<uint8_t>((r - ZYDIS_REGISTER_AH) * 8 + 1);
    return static_cast<uint8_t>(ZydisRegisterGetId(r) * 8);
}

// AL..R15B are numbered with AH..BH between them in Zydis: ids of 8-bit registers need their own
// mapping.
inline uint8_t byte_register_offset(ZydisRegister r) {
    if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
        return static_cast<uint8_t>((r - ZYDIS_REGISTER_AH) * 8 + 1);
    if (r <= ZYDIS_REGISTER_BL) return static_cast<uint8_t>((r - ZYDIS_REGISTER_AL) * 8);
    return static_cast<uint8_t>((r - ZYDIS_REGISTER_SPL + 4) * 8);
}

inline uint8_t gpr_offset(ZydisRegister r) {
    return ZydisRegisterGetClass(r) == ZYDIS_REGCLASS_GPR8 ? byte_register_offset(r)
                                                           : wide_register_offset(r);
}

inline bool is_gpr(const ZydisDecodedOperand& operand) {
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
    const ZydisRegisterClass c = ZydisRegisterGetClass(operand.reg.value);
    return c == ZYDIS_REGCLASS_GPR8 || c == ZYDIS_REGCLASS_GPR16 || c == ZYDIS_REGCLASS_GPR32 ||
           c == ZYDIS_REGCLASS_GPR64;
}

}  // namespace banyan::interp
