// A VM in this process: its console may be the terminal, signals end it, Ctrl-Z of the shell stops
// it.
#pragma once

#include <optional>
#include <string>

#include "app/cli/detached.hpp"
#include "app/cli/gdb_service.hpp"
#include "app/cli/resource_service.hpp"
#include "app/cli/vnc_service.hpp"
#include "host/sandbox/sandbox.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

// What there is beside the VM itself.
struct Companions {
    bool trace_engine = false;  // how the engine does, once a second on standard error
    std::optional<GdbChoice> gdb = {};
    std::optional<VncChoice> vnc = {};            // nobody sees the screen but by banyan screenshot
    std::string control = {};                     // a QMP socket besides the usual one; empty: none
    ResourceChoice resources = {};                // what it may use of this host
    Detached* detached = nullptr;                 // null: it stays in the foreground
    std::string stored = {};                      // a stored VM's directory; empty: it is none
    const InheritedHandles* inherited = nullptr;  // closed before the guest runs; null: none
};

// Returns the exit status. All messages go to standard error.
int run_in_foreground(const VmConfig& config, const Companions& companions);

}  // namespace banyan
