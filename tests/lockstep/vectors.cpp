// Instructions by random bytes, with their memory operands aimed at the data pages.
#include <cstring>

#include "lockstep/families.hpp"

namespace banyan::lockstep {

namespace {

bool is_gpr(ZydisRegister r) {
    const ZydisRegisterClass c = ZydisRegisterGetClass(r);
    return c == ZYDIS_REGCLASS_GPR64 || c == ZYDIS_REGCLASS_GPR32;
}

unsigned number_of(ZydisRegister r) {
    return static_cast<unsigned>(
        ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r)));
}

// Control and debug registers are the system family's.
bool is_system_register(ZydisRegister r) {
    const ZydisRegisterClass c = ZydisRegisterGetClass(r);
    return c == ZYDIS_REGCLASS_CONTROL || c == ZYDIS_REGCLASS_DEBUG;
}

bool spoils_registers(const Stream& s, const Picked& picked) {
    for (unsigned i = 0; i < picked.instruction.operand_count; ++i) {
        const ZydisDecodedOperand& operand = picked.operands[i];
        if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        if (s.supervisor && is_system_register(operand.reg.value)) return true;
        if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) continue;
        const ZydisRegister whole =
            ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand.reg.value);
        if (ZydisRegisterGetClass(whole) == ZYDIS_REGCLASS_GPR64 && !s.is_free(number_of(whole)))
            return true;
    }
    return false;
}

// The stack and string families have these; and what changes how all later ones behave is rare.
bool is_left_out(Stream& s, const Picked& picked) {
    switch (picked.instruction.meta.category) {
        case ZYDIS_CATEGORY_STRINGOP:
        case ZYDIS_CATEGORY_PUSH:
        case ZYDIS_CATEGORY_POP: return true;
        default: break;
    }
    switch (picked.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_XLAT:
        case ZYDIS_MNEMONIC_ENTER:
        case ZYDIS_MNEMONIC_LEAVE:
        case ZYDIS_MNEMONIC_STD:
        case ZYDIS_MNEMONIC_MASKMOVQ:
        case ZYDIS_MNEMONIC_MASKMOVDQU:
        case ZYDIS_MNEMONIC_VMASKMOVDQU: return true;
        case ZYDIS_MNEMONIC_LDMXCSR:
        case ZYDIS_MNEMONIC_VLDMXCSR:
        case ZYDIS_MNEMONIC_FLDCW: return s.in_loop() || s.random.chance(80);
        case ZYDIS_MNEMONIC_DIV:
        case ZYDIS_MNEMONIC_IDIV: return s.in_loop();
        default: return false;
    }
}

void patch_displacement(Picked& picked, uint64_t value) {
    std::memcpy(&picked.bytes[picked.instruction.raw.disp.offset], &value, 4);
}

// Emits what makes the operand fall into the data pages. False: it cannot be aimed.
bool aim(Stream& s, Picked& picked, const ZydisDecodedOperand& operand) {
    const auto& memory = operand.mem;
    if (memory.type == ZYDIS_MEMOP_TYPE_AGEN) return true;
    if (memory.type != ZYDIS_MEMOP_TYPE_MEM) return false;
    uint64_t address = s.address(operand.size / 8U < 1 ? 1U : operand.size / 8U, true);
    if (memory.base == ZYDIS_REGISTER_RIP) {
        patch_displacement(picked, address - s.a.here() - picked.bytes.size());
        return true;
    }
    if (!is_gpr(memory.base) || memory.base == memory.index) return false;
    if (picked.instruction.address_width != 64 && s.supervisor) return false;
    const unsigned base = number_of(memory.base);
    if (!s.is_free(base)) return false;
    address -= static_cast<uint64_t>(memory.disp.value);
    if (is_gpr(memory.index)) {
        const unsigned index = number_of(memory.index);
        if (!s.is_free(index)) return false;
        const uint64_t value = s.random.below(16) - 8;
        s.mov(reg(gpr(index)), imm(value));
        address -= value * memory.scale;
    } else if (memory.index != ZYDIS_REGISTER_NONE && s.in_loop()) {
        return false;  // a gather from anywhere
    }
    return s.mov(reg(gpr(base)), imm(address));
}

}  // namespace

bool emit_encoding(Stream& s, RandomEncodings& encodings) {
    Picked picked = encodings.pick(s.random);
    if (is_left_out(s, picked) || spoils_registers(s, picked)) return false;
    for (unsigned i = 0; i < picked.instruction.operand_count; ++i) {
        const ZydisDecodedOperand& operand = picked.operands[i];
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
            operand.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
            return aim(s, picked, operand) && s.a.emit_bytes(picked.bytes);
        }
    }
    return s.a.emit_bytes(picked.bytes);
}

void emit_instruction(Stream& s, RandomEncodings& encodings) {
    for (;;) {
        const uint64_t kind = s.random.below(100);
        const bool done = kind < 58   ? emit_integer(s)
                          : kind < 70 ? emit_stack(s)
                          : kind < 74 ? emit_string(s)
                                      : emit_encoding(s, encodings);
        if (done || s.a.overflowed()) return;
    }
}

}  // namespace banyan::lockstep
