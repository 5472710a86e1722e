// Flags on their way between the host's and cpu.arith: interp/arithmetic.hpp has the form.
#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

// Changes no flags.
void Emitter::save_flags() {
    if (!flags_dirty_) return;
    store_flags();
    flags_dirty_ = false;
}

void Emitter::store_flags() {
    a_.mov(kT1, x86a::rax);
    a_.lahf();
    a_.seto(x86a::al);
    a_.mov(state(kArithAt, 2), x86a::ax);
    a_.mov(x86a::rax, kT1);
}

void Emitter::load_flags() {
    a_.mov(kT1, x86a::rax);
    a_.movzx(x86a::eax, state(kArithAt, 2));
    a_.add(x86a::al, 0x7F);  // OF
    a_.sahf();
    a_.mov(x86a::rax, kT1);
    host_flags_ = true;
}

void Emitter::keep_flags(const Instruction& instruction) {
    if (instruction.flags_live_in() != 0) save_flags();
    host_flags_ = false;
}

void Emitter::bring_flags(const Instruction& instruction) {
    if (!host_flags_ && instruction.needs_host_flags()) load_flags();
}

void Emitter::bring_flags_for_successors(const BasicBlock& block) {
    if (host_flags_) return;
    for (const auto& way : {block.next, block.taken}) {
        if (way && way->block && region_.blocks[*way->block].flags_live_in != 0)
            return load_flags();
    }
}

void Emitter::note_changed_flags(const Instruction& instruction) {
    if (!instruction.changes_flags) return;
    flags_dirty_ = true;
    host_flags_ = true;
}

}  // namespace banyan::jit
