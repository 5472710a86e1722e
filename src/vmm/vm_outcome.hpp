// How a VM's run ended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace banyan {

enum class VmEnd : uint8_t {
    powered_off,
    reset,        // and reboots are not wanted
    guest_panic,  // reported by pvpanic
    triple_fault,
    debug_exit,      // `value` was written to the debug exit port
    stopped,         // by the user or a signal
    internal_error,  // the engine met what it does not implement
    failed,          // Banyan could not go on, for example to load the kernel again for a reboot
};

// Who began what ends or resets a VM.
enum class VmCause : uint8_t {
    guest_shutdown,
    guest_reset,
    guest_panic,
    host_error,   // Banyan or the host cannot go on
    host_quit,    // a control protocol asked for the end
    host_reset,   // ... for a reset
    host_signal,  // the process was asked to end
    host_ui,      // at the console or in a debugger
};
constexpr bool is_guests(VmCause cause) {
    return cause <= VmCause::guest_panic;
}

// As ShutdownCause in QEMU's qapi/run-state.json: "guest-shutdown".
std::string_view name_of(VmCause cause);

struct VmOutcome {
    VmEnd end = VmEnd::powered_off;
    uint32_t value = 0;
    std::string message = {};    // "what: why; what to do"; empty where there is nothing to say
    std::string registers = {};  // of the CPU that ended it, several lines
    VmCause cause = VmCause::guest_shutdown;
};

// The exit status that docs promise for `banyan run`.
int exit_status(const VmOutcome& outcome);

}  // namespace banyan
