// Stubs for changes of mode: SYSCALL, SYSRET, STAC, CLAC. They copy what interp::ModeCache knows of
// the new mode, show the stack window of its view, and go on by the jump table.
#pragma once

#include <Zydis/Zydis.h>
#include <asmjit/x86.h>
#include <cstdint>

#include "cpu/interp/native_memory.hpp"

namespace banyan::jit {

// What of the CPU model they depend on.
struct SystemConfig {
    bool amd = false;
    bool smap = false;
    bool rdtscp = false;
};

struct SystemStubs {
    bool rdtscp = false;  // the guest has it
    // Jumped to with RIP of the next instruction in T0 and the flags saved. Jumps to the address in
    // T1 when the interpreter has to do it; nothing has happened then. Null: always.
    const uint8_t* syscall = nullptr;  // from CPL 3
    const uint8_t* sysret = nullptr;   // to 64-bit code
    const uint8_t* stac = nullptr;
    const uint8_t* clac = nullptr;

    // The one for an instruction; `user`: in code of CPL 3. Null: there is none.
    const uint8_t* transfer_for(ZydisMnemonic mnemonic, bool user) const;
};

// `lookup`: see Stubs.
SystemStubs write_system_stubs(interp::CodeMemory& memory, const SystemConfig& config,
                               const uint8_t* lookup);

// --- parts that emitted code has, too

// RFLAGS, whose arithmetic flags are in cpu.arith, to `to`. Changes flags.
void load_rflags(asmjit::x86::Assembler& a, const asmjit::x86::Gp& to,
                 const asmjit::x86::Gp& temporary);
// Changes flags.
void jump_unless_canonical(asmjit::x86::Assembler& a, const asmjit::x86::Gp& address,
                           const asmjit::x86::Gp& temporary, const asmjit::Label& to);

}  // namespace banyan::jit
