// Which instructions of the system family, and of those that come with them at the entries and
// exits of a kernel, generated code does itself. emitter_system.cpp and stubs_system.cpp say how.
#include "cpu/interp/zydis_registers.hpp"
#include "cpu/jit/instruction.hpp"
#include "cpu/jit/layout.hpp"

namespace banyan::jit {

using interp::Op;

namespace {

bool is_segment(const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

// From a segment or control register to a general one.
bool is_register_read(const Instruction& i) {
    const ZydisDecodedOperand& to = i.operands[0];
    const ZydisDecodedOperand& from = i.operands[1];
    if (!interp::is_gpr(to)) return false;
    if (is_segment(from)) return to.size >= 32 || i.op->destination / 8U != kGuestRsp;
    switch (from.reg.value) {
        case ZYDIS_REGISTER_CR0:
        case ZYDIS_REGISTER_CR2:
        case ZYDIS_REGISTER_CR3:
        case ZYDIS_REGISTER_CR4: return true;
        default: return false;
    }
}

bool pops_rsp(const Instruction& i) {
    return i.zydis.operand_width == 64 && i.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           i.operands[0].reg.value == ZYDIS_REGISTER_RSP;
}

}  // namespace

std::optional<Kind> system_kind(const Instruction& i) {
    switch (i.zydis.mnemonic) {
        case ZYDIS_MNEMONIC_SYSCALL:
        case ZYDIS_MNEMONIC_STAC:
        case ZYDIS_MNEMONIC_CLAC: return Kind::transfer;
        case ZYDIS_MNEMONIC_SYSRET:
            if (i.op->operand_size == 8) return Kind::transfer;
            return std::nullopt;
        case ZYDIS_MNEMONIC_STI:
            if (i.op->has(Op::kFollowed)) return Kind::system;
            return std::nullopt;
        case ZYDIS_MNEMONIC_CLI:
        case ZYDIS_MNEMONIC_CLD:
        case ZYDIS_MNEMONIC_STD:
        case ZYDIS_MNEMONIC_RDTSC:
        case ZYDIS_MNEMONIC_RDTSCP:
        case ZYDIS_MNEMONIC_SWAPGS:
        case ZYDIS_MNEMONIC_RDFSBASE:
        case ZYDIS_MNEMONIC_RDGSBASE:
        case ZYDIS_MNEMONIC_WRFSBASE:
        case ZYDIS_MNEMONIC_WRGSBASE: return Kind::system;
        case ZYDIS_MNEMONIC_MOV:
            if (is_register_read(i)) return Kind::system;
            return std::nullopt;
        case ZYDIS_MNEMONIC_LEAVE:
            if (i.zydis.operand_width == 64) return Kind::system;
            return std::nullopt;
        case ZYDIS_MNEMONIC_POP:
            if (pops_rsp(i)) return Kind::system;
            return std::nullopt;
        case ZYDIS_MNEMONIC_PUSHFQ: return Kind::pushf;
        default: return std::nullopt;
    }
}

}  // namespace banyan::jit
