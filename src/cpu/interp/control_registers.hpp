// Writes to control registers, as MOV, LMSW and CLTS do them.
#pragma once

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

// Each checks, stores, and brings everything that depends on it up to date. False: #GP(0) is
// pending.
[[nodiscard]] bool write_cr0(Cpu& cpu, const Op* op, uint64_t value);
[[nodiscard]] bool write_cr3(Cpu& cpu, const Op* op, uint64_t value);
[[nodiscard]] bool write_cr4(Cpu& cpu, const Op* op, uint64_t value);

// The bits of CR4 that this CPU model has.
uint64_t cr4_valid_bits(const Cpu& cpu);

}  // namespace banyan::interp
