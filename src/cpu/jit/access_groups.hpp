// AccessGroup: memory accesses whose addresses differ by constants, in a basic block and in those
// that only it leads to. One check, of all their bytes, serves them all.
#pragma once

#include <cstdint>

#include "cpu/jit/instruction.hpp"

namespace banyan::jit {

struct AccessGroup {
    const Instruction* first = nullptr;  // the others come behind it
    const Instruction* last = nullptr;
    unsigned members = 0;
    int64_t low = 0;  // displacements: of the first byte, and behind the last one
    int64_t high = 0;
    bool writes = false;
    unsigned alignment = 0;  // bytes that what is at this displacement must be aligned to; 0: none
    int64_t aligned_at = 0;

    unsigned size() const { return static_cast<unsigned>(high - low); }
};

struct Region;

// Finds the groups of a region and notes them in its instructions. The stack window and the
// predecessors of its blocks are known.
void group_accesses(Region& region);

}  // namespace banyan::jit
