// MOV to and from DR0..DR7. Source: Intel SDM vol. 3 section 18.2, vol. 2 "MOV".
#include "cpu/interp/debug.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

constexpr uint64_t kDr6Fixed = 0xFFFF0FF0;
constexpr uint64_t kDr6Writable = 0xE00F;
constexpr uint64_t kDr7Fixed = 0x400;
constexpr uint64_t kDr7Writable = 0xFFFF23FF;

// DR4 and DR5 stand for DR6 and DR7 unless CR4.DE says that they do not exist. Then privilege; then
// general detection, which is a fault: the handler finds GD clear.
bool may_access(Cpu& cpu, const Op* op, unsigned number) {
    if ((number == 4 || number == 5) && (cpu.cr4 & x86::kCr4De) != 0) return cpu.raise_ud(op);
    if (!require_cpl0(cpu, op)) return false;
    if ((cpu.dr7 & kDr7Gd) == 0) return true;
    cpu.dr6 |= kDr6Bd;
    return cpu.raise(op, x86::Vector::db);
}

bool write_debug_register(Cpu& cpu, const Op* op, unsigned number, uint64_t value) {
    if (number < 4) {
        cpu.dr[number] = value;
    } else if ((value >> 32) != 0) {
        return cpu.raise_gp(op);
    } else if ((number & 1U) == 0) {
        cpu.dr6 = (value & kDr6Writable) | kDr6Fixed;
    } else {
        cpu.dr7 = (value & kDr7Writable) | kDr7Fixed;
    }
    return true;
}

uint64_t read_debug_register(const Cpu& cpu, unsigned number) {
    if (number < 4) return cpu.dr[number];
    return (number & 1U) == 0 ? cpu.dr6 : cpu.dr7;
}

// op->immediate: the number. Watched pages have no TLB tags, so that a change of what is watched
// flushes.
void op_write_dr(Cpu& cpu, const Op* op) {
    const auto number = static_cast<unsigned>(op->immediate);
    if (!may_access(cpu, op, number)) return;
    const uint64_t value =
        cpu.code64() ? cpu.get<uint64_t>(op->destination) : cpu.get<uint32_t>(op->destination);
    if (!write_debug_register(cpu, op, number, value)) return;
    cpu.finish_serialising(op);
    if (number == 4 || number == 6) return;
    for (Tlb& tlb : cpu.tlbs)
        tlb.flush();
    cpu.mode_changed();
}

void op_read_dr(Cpu& cpu, const Op* op) {
    const auto number = static_cast<unsigned>(op->immediate);
    if (!may_access(cpu, op, number)) return;
    const uint64_t value = read_debug_register(cpu, number);
    if (cpu.code64()) {
        cpu.set<uint64_t>(op->destination, value);
    } else {
        cpu.set<uint32_t>(op->destination, static_cast<uint32_t>(value));
    }
    NEXT(cpu, op);
}

bool is_debug_register(ZydisRegister reg) {
    return reg >= ZYDIS_REGISTER_DR0 && reg <= ZYDIS_REGISTER_DR7;
}

}  // namespace

Handler select_debug_registers(const Decoded& decoded, Op& op) {
    if (decoded.instruction.mnemonic != ZYDIS_MNEMONIC_MOV) return nullptr;
    const ZydisRegister to = register_of(decoded.operands[0]);
    const ZydisRegister from = register_of(decoded.operands[1]);
    if (is_debug_register(to)) {
        op.immediate = static_cast<uint64_t>(to - ZYDIS_REGISTER_DR0);
        op.bits |= Op::kEndsBlock;
        return op_write_dr;
    }
    if (!is_debug_register(from)) return nullptr;
    op.immediate = static_cast<uint64_t>(from - ZYDIS_REGISTER_DR0);
    return op_read_dr;
}

}  // namespace banyan::interp
