// What far jumps, calls, returns, interrupts and interrupt returns share.
#pragma once

#include <span>

#include "cpu/interp/mode.hpp"
#include "cpu/interp/segments.hpp"

namespace banyan::interp {

// Goes on at cs:rip with privilege `cpl`. Everything has been checked.
void enter_code(Cpu& cpu, const x86::SegmentRegister& cs, uint64_t rip, uint8_t cpl);
// The same when CS and RIP are all that changes: neither privilege nor flags nor another segment.
inline void enter_segment(Cpu& cpu, const x86::SegmentRegister& cs, uint64_t rip) {
    set_segment(cpu, x86::kCs, cs);
    cpu.rip = rip;
}

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
// The first values.size() of them.
[[nodiscard]] bool peek_top(Cpu& cpu, const Op* op, unsigned width, std::span<uint64_t> values);

}  // namespace banyan::interp
