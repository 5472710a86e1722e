#include "vmm/vm_outcome.hpp"

namespace banyan {

int exit_status(const VmOutcome& outcome) {
    switch (outcome.end) {
        case VmEnd::powered_off:
        case VmEnd::reset: return 0;
        case VmEnd::failed: return 1;
        case VmEnd::guest_panic:
        case VmEnd::triple_fault: return 3;
        case VmEnd::stopped: return 4;
        case VmEnd::internal_error: return 5;
        // A process has eight bits for it.
        case VmEnd::debug_exit: return static_cast<int>(((outcome.value << 1) | 1U) & 0xFFU);
    }
    return 1;
}

}  // namespace banyan
