// Hardware task switches. Source: Intel SDM vol. 3 chapter 7.
#pragma once

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

enum class TaskSource : uint8_t { jump, call, interrupt, iret };

struct TaskSwitch {
    const Op* op = nullptr;  // for faults that still belong to the old task
    TaskSource source = TaskSource::jump;
    uint16_t selector = 0;    // of the new TSS
    uint64_t return_rip = 0;  // saved in the old TSS
    uint64_t return_flags =
        0;                  // the same, for interrupts; other sources save the flags as they are
    uint32_t external = 0;  // EXT
    bool has_error = false;
    uint32_t error = 0;
};

// Checks the new TSS and switches. False: a fault is pending, in the old task or already in the new
// one.
[[nodiscard]] bool switch_task(Cpu& cpu, const TaskSwitch& change);

}  // namespace banyan::interp
