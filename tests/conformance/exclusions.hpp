// What random cases leave out, and which flags are not compared, each with its reason.
#pragma once

#include <Zydis/Zydis.h>
#include <cstdint>

namespace banyan::conformance {

// Which exception flags of MXCSR are not compared where this instruction raises #XM. With an
// overflow or underflow that is not masked, PE tells whether the result was inexact before its
// exponent was cut (Intel SDM vol. 1 section 4.9.1.5); the interpreter learns of the exception from
// a masked run, whose PE is that of the final result. DPPS and DPPD go through several steps, of
// which a masked run makes all.
uint32_t simd_flags_ignored(ZydisMnemonic mnemonic);

// Whether it reads two operands in memory. Where both are missing, nothing says which page fault
// comes first, and processors look again at what crosses a page.
bool reads_two_operands(ZydisMnemonic mnemonic);

// Whether a random case may hold this instruction.
bool is_allowed(const ZydisDecodedInstruction& instruction, const ZydisDecodedOperand* operands);

}  // namespace banyan::conformance
