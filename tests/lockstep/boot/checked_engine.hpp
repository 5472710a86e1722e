// The JIT, checked while it runs a guest: now and then a stretch of generated code is run again by
// the interpreter, from the same state and on the same memory, and what becomes of both is
// compared.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "vmm/engine_choice.hpp"

namespace banyan::lockstep {

struct CheckOptions {
    // Of the stretches that the JIT runs, so many in a row are compared, then others are not:
    // between the two the memory's protection changes as a whole, which costs more than a page's.
    uint64_t in_a_row = 1000;
    uint64_t one_in = 2;  // such rows
    // From this comparison on, an instruction of the interpreter does something else, until that is
    // found. 0: never.
    uint64_t spoil_at = 0;
    // Null: from the beginning. Else from when it is true: nothing is slowed down before.
    const std::atomic<bool>* begin = nullptr;
};

// Filled by the vCPU's thread; to be read when it has ended.
struct CheckResult {
    uint64_t compared = 0;
    uint64_t instructions = 0;  // in them
    uint64_t faults = 0;        // of them that ended in a fault
    // Not compared, because of: devices and clocks; length; memory written (too much, or code).
    uint64_t outside = 0;
    uint64_t too_long = 0;
    uint64_t not_repeatable = 0;
    std::string difference;  // empty: there is none
};

// For one vCPU. `result` must outlive the engine.
EngineChoice checked_engine(const CheckOptions& options, CheckResult& result);

}  // namespace banyan::lockstep
