// The parts of select_native(): each returns the handler of an instruction of its own, or null.
// Availability (modes and features) has been checked by the caller.
#pragma once

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/op.hpp"

namespace banyan::interp {

Handler select_x87_control(const Decoded& decoded, Op& op);  // native_x87.cpp
// Those of them that make sense on the host while all exceptions are masked. They leave the x87's
// pointers to its last instruction as they are.
bool is_native_x87_control(ZydisMnemonic mnemonic);
Handler select_state(const Decoded& decoded);           // native_state.cpp: FXSAVE, XSAVE
Handler select_masked(const Decoded& decoded, Op& op);  // native_masked.cpp: MASKMOV, VMASKMOV
Handler select_gather(const Decoded& decoded, Op& op);  // native_gather.cpp: and scatters
Handler select_misc(
    const Decoded& decoded);  // native_misc.cpp: MXCSR, EMMS, VZEROUPPER, hints, fences

// Runs the recipe of an instruction on the host, or raises #UD if there is none.
Handler select_thunk(const Decoded& decoded, Op& op, bool without_f3 = false);

// Raises #NM.
void op_device_not_available(Cpu& cpu, const Op* op);

}  // namespace banyan::interp
