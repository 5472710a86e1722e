// The guest's x87 between the Cpu, where it is an FXSAVE image, and the host's x87. In generated
// code it is in the host's while JitCpu::x87_live says so, and all exceptions are masked then: no
// instruction of the host can find one pending. C++ finds an empty x87, as the ABI wants it.
#pragma once

#include <asmjit/x86.h>
#include <cstdint>

namespace banyan::jit {

// The whole of Stubs::load_x87, which is called. Leaves for `unmasked`.
void write_load_x87(asmjit::x86::Assembler& a, const uint8_t* unmasked);

// To the Cpu, if it is live. `pushed`: bytes on the stack above the Cpu. Guest and vector registers
// are there already; takes RAX, RCX and RDX.
void settle_x87(asmjit::x86::Assembler& a, int32_t pushed);

// Back to the host's, if settle_x87() took it from there. Vector registers come after it: it
// changes XMM registers and leaves MXCSR as C++ wants it.
void reload_x87(asmjit::x86::Assembler& a, int32_t pushed);

}  // namespace banyan::jit
