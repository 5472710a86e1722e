// INT n, INT3, INTO, INT1, BOUND, UD0..UD2. Source: Intel SDM vol. 2.
#include "cpu/interp/interrupts.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

// The return address is the next instruction's; if delivery faults, the fault is this
// instruction's.
void interrupt(Cpu& cpu, const Op* op, const Interruption& event) {
    cpu.rip = cpu.next_rip(op);
    if (!deliver_event(cpu, op, event)) return;  // a fault is pending
}

// op->immediate: the vector.
void op_int(Cpu& cpu, const Op* op) {
    if (cpu.vm86() && cpu.iopl() < 3) {
        cpu.raise_gp(op);
        return;
    }
    interrupt(cpu, op, {.vector = static_cast<uint8_t>(op->immediate), .external = false});
}

// An INT3 that a debugger has put there is none of the guest's instructions: it has not begun.
bool is_debuggers(Cpu& cpu, const Op* op) {
    const uint64_t rip = cpu.rip_of(op);
    if (!cpu.debugger.owns_breakpoint(cpu.base[x86::kCs] + rip)) return false;
    cpu.rip = rip;
    cpu.retired -= cpu.unfinished(op);
    cpu.leave_for_debugger({DebugEvent::breakpoint});
    return true;
}

void op_int3(Cpu& cpu, const Op* op) {
    if (is_debuggers(cpu, op)) return;
    interrupt(
        cpu, op,
        {.vector = static_cast<uint8_t>(x86::Vector::bp), .external = false, .int3_or_into = true});
}

void op_into(Cpu& cpu, const Op* op) {
    if ((cpu.arith & kFlagWordOf) == 0) {
        cpu.finish(op);
        return;
    }
    interrupt(
        cpu, op,
        {.vector = static_cast<uint8_t>(x86::Vector::of), .external = false, .int3_or_into = true});
}

// INT1 is a #DB without the check of the gate's DPL, and leaves DR6 alone: Intel SDM vol. 3
// section 6.4.4.
void op_int1(Cpu& cpu, const Op* op) {
    interrupt(cpu, op, {.vector = static_cast<uint8_t>(x86::Vector::db)});
}

template <class T>
void op_bound(Cpu& cpu, const Op* op) {
    using Signed = std::make_signed_t<T>;
    T lower;
    T upper;
    if (!cpu.read(op, lower) || !cpu.read(op, upper, sizeof(T))) return;
    const auto index = static_cast<Signed>(cpu.get<T>(op->destination));
    if (index < static_cast<Signed>(lower) || index > static_cast<Signed>(upper)) {
        cpu.raise(op, x86::Vector::br);
        return;
    }
    NEXT(cpu, op);
}

}  // namespace

Handler select_software_interrupts(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_INT:
            op.immediate &= 0xFF;
            op.bits |= Op::kEndsBlock;
            return op_int;
        case ZYDIS_MNEMONIC_INT3: op.bits |= Op::kEndsBlock; return op_int3;
        case ZYDIS_MNEMONIC_INTO: op.bits |= Op::kEndsBlock; return op_into;
        case ZYDIS_MNEMONIC_INT1: op.bits |= Op::kEndsBlock; return op_int1;
        case ZYDIS_MNEMONIC_BOUND:
            return op.operand_size == 2 ? op_bound<uint16_t> : op_bound<uint32_t>;
        case ZYDIS_MNEMONIC_UD0:
        case ZYDIS_MNEMONIC_UD1:
        case ZYDIS_MNEMONIC_UD2: op.bits |= Op::kEndsBlock; return op_undefined;
        default: return nullptr;
    }
}

}  // namespace banyan::interp
