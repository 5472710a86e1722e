#include "vmm/vm_outcome.hpp"

namespace banyan {

std::string_view name_of(VmCause cause) {
    switch (cause) {
        case VmCause::guest_shutdown: return "guest-shutdown";
        case VmCause::guest_reset: return "guest-reset";
        case VmCause::guest_panic: return "guest-panic";
        case VmCause::host_error: return "host-error";
        case VmCause::host_quit: return "host-qmp-quit";
        case VmCause::host_reset: return "host-qmp-system-reset";
        case VmCause::host_signal: return "host-signal";
        case VmCause::host_ui: return "host-ui";
    }
    return {};
}

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
