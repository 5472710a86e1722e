// What the JIT of one vCPU counts.
#pragma once

#include "support/counter.hpp"
#include "vm/statistics.hpp"

namespace banyan::jit {

// By the vCPU's thread alone, and never in generated code that is fast.
struct JitStatistics {
    Counter regions;       // translated
    Counter instructions;  // in them
    Counter code_bytes;
    Counter dropped;      // translations that were invalidated
    Counter clears;       // times that the code cache was full
    Counter links;        // made
    Counter entries;      // from the loop into generated code
    Counter interpreted;  // single instructions, called from generated code

    // Why generated code was left. First three: HostExit::dispatch.
    Counter exits_for_events;
    Counter exits_for_faults;
    Counter exits_for_lookups;  // the jump table does not have the code for where a jump led
    Counter exits_for_links;
    Counter exits_to_interpret;
    Counter exits_for_stack;

    void append_to(Statistics& list) const;
};

}  // namespace banyan::jit
