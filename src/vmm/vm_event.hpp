// What becomes of a VM, for those who watch it.
#pragma once

#include <cstdint>
#include <string>

#include "vmm/vm_outcome.hpp"

namespace banyan {

// Who wants the vCPUs to stand still.
enum class PauseReason : uint8_t {
    user,       // pausing twice is pausing once
    debugger,   // GDB has stopped the guest
    disk_full,  // the host has no room for what the guest's disks write
    host,       // anything else, for a moment
};
inline constexpr unsigned kPauseReasons = 4;

enum class VmState : uint8_t {
    created,  // run() was not called
    running,
    paused,
    debugged,   // paused by GDB
    disk_full,  // paused until the host has room
    ended,
};

struct VmEvent {
    enum class Kind : uint8_t {
        paused,
        resumed,
        reset,         // about to happen
        power_button,  // was pressed
        guest_panic,   // reported by pvpanic
        watchdog,      // has expired; what it does follows
        disk_full,     // of `disk`; paused follows
        removed,       // of `device`: the guest has let go of it, and its back end is closed
        ended,         // `outcome` is set
    };
    Kind kind = Kind::paused;
    VmCause cause = VmCause::guest_shutdown;  // of reset and ended
    std::string disk = {};
    std::string text = {};               // of disk_full: why
    std::string device = {};             // of removed
    const VmOutcome* outcome = nullptr;  // valid during the call
};

class VmObserver {
public:
    // On the event loop's thread. The VM must not be asked for changes from within.
    virtual void on_vm_event(const VmEvent& event) = 0;

protected:
    ~VmObserver() = default;
};

}  // namespace banyan
