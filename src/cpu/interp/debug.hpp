// Debug exceptions: single step, breakpoints, data and port watchpoints. Source: Intel SDM vol. 3
// chapter 18. (What a debugger outside of the guest wants is in debugger.hpp.)
//
// While TF is set or DR7 enables anything, blocks hold one instruction (Mode::kOneInstruction), and
// the run loop calls check_execution_breakpoint() before and after_instruction_debug() after each.
#pragma once

#include <cstdint>

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

inline constexpr uint64_t kDr6Bd = uint64_t{1} << 13;
inline constexpr uint64_t kDr6Bs = uint64_t{1} << 14;
inline constexpr uint64_t kDr6Bt = uint64_t{1} << 15;
inline constexpr uint64_t kDr6Hits = 0xF;
inline constexpr uint64_t kDr7Enables = 0xFF;
inline constexpr uint64_t kDr7Gd = uint64_t{1} << 13;

// Whether instructions must run one by one for the sake of a debugger in the guest or outside.
inline bool debug_active(const Cpu& cpu) {
    return cpu.flag(x86::kTf) || (cpu.dr7 & kDr7Enables) != 0 || cpu.debugger.one_by_one();
}

// Before an instruction: notes TF. True: an execution breakpoint is set on it, and #DB is pending
// as a fault at cpu.rip.
[[nodiscard]] bool check_execution_breakpoint(Cpu& cpu);

// After an instruction that retired: raises #DB as a trap if it was single-stepped or touched
// watched data. False: #DB is pending.
bool after_instruction_debug(Cpu& cpu);

// A data access of `size` bytes, from the memory slow path: remembers hits until the instruction
// retires.
void note_data_access(Cpu& cpu, uint64_t linear, unsigned size, Access access);
// True when a data watchpoint lies in the page: it must have no TLB tag.
bool page_is_watched(const Cpu& cpu, uint64_t linear);
// A port access (CR4.DE).
void note_port_access(Cpu& cpu, uint16_t port, unsigned size);

// IRET and task switches load RF: execution breakpoints do not stop the next instruction.
void set_resume_flag(Cpu& cpu, bool resume);

// Makes #DB pending as a trap behind the instruction: cpu.rip is already the next one's.
void raise_debug_trap(Cpu& cpu, uint64_t dr6_bits);

}  // namespace banyan::interp
