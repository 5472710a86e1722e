// Division: natively where it certainly raises no #DE.
#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

namespace {

x86a::Gp of_size(const x86a::Gp& gp, bool wide) {
    if (wide) return gp.r64();
    return gp.r32();
}

}  // namespace

// DIV fails unless the upper half is less than the divisor. IDIV succeeds if the dividend is an
// extended lower half, and the divisor neither 0 nor -1; what else might is left to the slow way.
void Emitter::check_divisor(const Instruction& instruction, const asmjit::Operand& divisor,
                            const Label& slow) {
    const bool wide = instruction.zydis.operand_width == 64;
    const x86a::Gp t1 = of_size(kT1, wide);
    const x86a::Gp low = of_size(x86a::rax, wide);
    const x86a::Gp high = of_size(x86a::rdx, wide);
    if (instruction.zydis.mnemonic == ZYDIS_MNEMONIC_DIV) {
        a_.emit(x86a::Inst::kIdCmp, high, divisor);
        a_.jae(slow);
        return;
    }
    a_.emit(x86a::Inst::kIdMov, t1, divisor);
    a_.inc(t1);
    a_.cmp(t1, 1);
    a_.jbe(slow);
    a_.mov(t1, low);
    a_.sar(t1, wide ? 63 : 31);
    a_.cmp(t1, high);
    a_.jne(slow);
}

void Emitter::emit_divide(const Instruction& instruction) {
    const unsigned size = instruction.zydis.operand_width / 8U;
    const Label done = new_label();
    const Label slow = new_label();
    asmjit::Operand divisor;
    keep_flags(instruction);
    if (instruction.memory < 0) {
        const unsigned number = instruction.op->destination / 8U;
        x86a::Mem slot = guest_gpr(number);
        slot.setSize(size);
        divisor = in_register(number) ? asmjit::Operand(of_size(host_gpr(number), size == 8))
                                      : asmjit::Operand(slot);
    } else if (in_window(instruction)) {
        divisor = x86a::ptr(kStack, static_cast<int32_t>(instruction.op->displacement), size);
    } else {
        checked_address(instruction, done);
        divisor = x86a::ptr(kT0, 0, size);
    }
    check_divisor(instruction, divisor, slow);
    slow_way(instruction, slow, done);
    bring_flags(instruction);
    const bool is_signed = instruction.zydis.mnemonic == ZYDIS_MNEMONIC_IDIV;
    a_.emit(is_signed ? x86a::Inst::kIdIdiv : x86a::Inst::kIdDiv, of_size(x86a::rdx, size == 8),
            of_size(x86a::rax, size == 8), divisor);
    note_changed_flags(instruction);
    join(instruction, done);
}

}  // namespace banyan::jit
