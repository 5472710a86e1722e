// Stubs: the host code that all translations share: the way in, the ways out, and calls of C++.
#pragma once

#include <array>
#include <asmjit/x86.h>
#include <bit>
#include <cstdint>

#include "cpu/interp/native_memory.hpp"
#include "cpu/jit/host_features.hpp"
#include "cpu/jit/jit_cpu.hpp"
#include "cpu/jit/stubs_system.hpp"

namespace banyan::jit {

// Interprets the instruction of a site; called by generated code with the guest's registers in the
// Cpu. Returns the code to go on with: null is what comes after the call, kLeave is none, because
// the loop has to see to cpu.rip or cpu.fault.
using OpHelper = const uint8_t* (*)(JitCpu* cpu, uint32_t site);
inline const uint8_t* const kLeave = std::bit_cast<const uint8_t*>(uintptr_t{1});

class Stubs {
public:
    // Writes them to the start of `memory`. `good` says whether there was room.
    struct Helpers {
        OpHelper run_op;
        OpHelper run_rest;
    };
    Stubs(interp::CodeMemory& memory, const Helpers& helpers, const HostFeatures& host,
          const SystemConfig& config);

    bool good() const { return enter != nullptr; }
    const bool fast_pext;

    // Runs code at `target` until it leaves.
    void (*enter)(JitCpu* cpu, const uint8_t* target) = nullptr;

    // Jumped to. cpu.rip is set, flags are saved if they matter.
    const uint8_t* exit_dispatch = nullptr;
    const uint8_t* exit_interpret = nullptr;
    // The same with the number of the link in T1.
    const uint8_t* exit_stack = nullptr;
    const uint8_t* exit_link = nullptr;
    // Jumped to with the offset of an entry of the jump table in T1: its block has no code.
    const uint8_t* exit_tag = nullptr;
    // Called: find_second_jump().
    const uint8_t* find_second = nullptr;
    // Jumped to with an address in T0: looks it up in the jump table.
    const uint8_t* lookup = nullptr;
    // Called: brings the guest's vector registers into the host's. Leaves for exit_interpret
    // (cpu.rip is set) while SIMD exceptions are unmasked.
    const uint8_t* load_vectors = nullptr;
    // The same with all of AVX-512's; the YMM registers may be there already.
    const uint8_t* load_all_vectors = nullptr;
    // Called: the same for the x87 (stubs_x87.hpp), while some x87 exception is unmasked or
    // pending.
    const uint8_t* load_x87 = nullptr;
    // Called with an address as the stack window shows it in T0 and a size in T1: has the window
    // show that range, if it lies in one page that the TLB knows as writable. ZF says whether.
    std::array<const uint8_t*, interp::kViewCount> move_window{};
    // Called with the number of the site in T1: OpHelper.
    const uint8_t* run_op = nullptr;
    // The same for all instructions from this one to the end of its block; does not come back.
    const uint8_t* run_rest = nullptr;
    SystemStubs system;

private:
    void leave_if_unmasked(asmjit::x86::Assembler& a) const;
};

}  // namespace banyan::jit
