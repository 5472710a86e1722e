// What far jumps, calls, returns, interrupts and interrupt returns share.
#pragma once

#include "cpu/interp/segments.hpp"

namespace banyan::interp {

// Goes on at cs:rip with privilege `cpl`. Everything has been checked.
void enter_code(Cpu& cpu, const x86::SegmentRegister& cs, uint64_t rip, uint8_t cpl);

// Writes the stack pointer as wide as the (already current) stack is. A 16-bit stack keeps
// bits 31..16 of ESP.
void set_stack_pointer(Cpu& cpu, uint64_t value);

// CS for RETF and IRET to `selector`; its RPL is the new CPL. False: a fault is pending.
[[nodiscard]] bool prepare_return_code(Cpu& cpu, const Op* op, uint16_t selector,
                                       x86::SegmentRegister& cs);
// SS that goes with it.
[[nodiscard]] bool prepare_return_stack(Cpu& cpu, const Op* op, uint16_t selector,
                                        const x86::SegmentRegister& cs, x86::SegmentRegister& ss);
// After a return to an outer level: clears the data segment registers that the new CPL may not use,
// and calls mode_changed() if there are any.
void drop_inner_segments(Cpu& cpu);

// Element `index` of the current stack, each `width` bytes wide; `skip` bytes are left out before
// the first.
[[nodiscard]] bool peek(Cpu& cpu, const Op* op, unsigned index, unsigned width, uint64_t& value,
                        unsigned skip = 0);

}  // namespace banyan::interp
