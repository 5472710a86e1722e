// What is not compared, each with its reason.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/x86/register_state.hpp"
#include "lockstep/layout.hpp"

namespace banyan::lockstep {

// Bits of the eight bytes of memory at `gpa` (a multiple of eight) that are not compared.
constexpr uint64_t memory_ignored(uint64_t gpa) {
    // Interrupts at random times count here and have a stack of their own.
    if (gpa / kPage == kUncompared / kPage) return ~uint64_t{0};
    if (gpa / kPage == (kRandomTimeStack - kPage) / kPage) return ~uint64_t{0};
    // RFLAGS in the frame of an exception, or of an interrupt after OUT: an engine need not make
    // arithmetic flags that nothing reads before they are overwritten. Where something does read
    // them after the handler's IRET, they are compared by what it computes. (INT n and SYSCALL
    // are instructions, and must save the flags as they are.)
    constexpr uint64_t kRflagsBelowTop = 24;
    if (gpa == kFaultStack - kRflagsBelowTop) return x86::kArithmeticFlags;
    // An interrupt that comes right after an IRET with RF set: the interpreter keeps RF only where
    // a breakpoint is armed (set_resume_flag()), which it is for the stepped engine.
    if (gpa == kPortStack - kRflagsBelowTop) return x86::kArithmeticFlags | x86::kRf;
    return 0;
}

// Bytes of the XSAVE area that are not compared.
constexpr bool xsave_ignored(size_t offset) {
    // FOP, FIP, FDP: of the last x87 instruction. Engines that run those natively do not have
    // them; processors differ too (Intel SDM vol. 1 section 8.1.8).
    if (offset >= 6 && offset < 24) return true;
    // MXCSR_MASK, and what software may use; the header: a component that is in its initial
    // state may be marked so or not (vol. 1 section 13.6).
    if (offset >= 28 && offset < 32) return true;
    if (offset >= 416 && offset < x86::kXsaveAvxOffset) return true;
    // The upper six bytes of each x87 register.
    return offset >= 32 && offset < 160 && offset % 16 >= 10;
}

}  // namespace banyan::lockstep
