// What random cases leave out, and which flags are not compared, each with its reason.
#pragma once

#include <Zydis/Zydis.h>
#include <cstdint>

namespace banyan::conformance {

// Whether a random case may hold this instruction.
bool is_allowed(const ZydisDecodedInstruction& instruction, const ZydisDecodedOperand* operands);

}  // namespace banyan::conformance
