// A VM in the foreground: its console may be the terminal, signals end it, Ctrl-Z of the shell
// stops it.
#pragma once

#include "vmm/vm_config.hpp"

namespace banyan {

// Returns the exit status. All messages go to standard error; `trace_engine`: also how the engine
// does, once a second.
int run_in_foreground(const VmConfig& config, bool trace_engine);

}  // namespace banyan
