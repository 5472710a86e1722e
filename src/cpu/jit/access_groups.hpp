// AccessGroup: memory accesses of a basic block whose addresses differ by constants. One check, of
// all their bytes, serves them all.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cpu/jit/instruction.hpp"

namespace banyan::jit {

struct AccessGroup {
    const Instruction* first = nullptr;  // the others come behind it
    unsigned members = 0;
    int64_t low = 0;  // displacements: of the first byte, and behind the last one
    int64_t high = 0;
    bool writes = false;
    unsigned alignment = 0;  // bytes that what is at this displacement must be aligned to; 0: none
    int64_t aligned_at = 0;

    unsigned size() const { return static_cast<unsigned>(high - low); }
};

// Finds the groups of a basic block, appends them to `groups` and notes them in the instructions.
// `in_window`: accesses to the stack need no check.
void group_accesses(std::span<Instruction> block, bool in_window, std::vector<AccessGroup>& groups);

}  // namespace banyan::jit
