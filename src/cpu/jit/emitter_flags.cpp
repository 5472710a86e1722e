// Flags on their way between the host's and cpu.arith: interp/arithmetic.hpp has the form.
#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

// Changes no flags.
void Emitter::save_flags() {
    if (!flags_dirty_) return;
    a_.mov(kT1, x86a::rax);
    a_.lahf();
    a_.seto(x86a::al);
    a_.mov(state(kArithAt, 2), x86a::ax);
    a_.mov(x86a::rax, kT1);
    flags_dirty_ = false;
}

void Emitter::load_flags() {
    a_.mov(kT1, x86a::rax);
    a_.movzx(x86a::eax, state(kArithAt, 2));
    a_.add(x86a::al, 0x7F);  // OF
    a_.sahf();
    a_.mov(x86a::rax, kT1);
}

void Emitter::keep_flags(const Instruction& instruction) {
    if (instruction.flags_live_in() != 0) save_flags();
}

void Emitter::bring_flags(const Instruction& instruction) {
    if (instruction.flags_live_in() != 0) load_flags();
}

}  // namespace banyan::jit
