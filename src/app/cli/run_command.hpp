// `banyan run`, and what `banyan start` shares with it.
#pragma once

#include <string>
#include <vector>

#include "app/cli/detached.hpp"
#include "app/cli/resource_service.hpp"
#include "app/cli/run_options.hpp"
#include "host/sandbox/sandbox.hpp"

namespace banyan {

// All that the options ask for, looked at before anything is made.
struct RunPlan {
    VmConfig config;
    std::optional<GdbChoice> gdb;
    std::optional<VncChoice> vnc;
    bool trace_engine = false;
    LogLevel log_level = LogLevel::warning;
    std::string control;
    ResourceChoice resources;
};
Result<RunPlan> make_plan(const RunOptions& options);

// Runs it until it ends, and returns the exit status. `detached`: null in the foreground; `stored`:
// a stored VM's directory, or empty. Fails when it could not be tried.
// `inherited`: what this program's caller has left open, which no guest is to have.
Result<int> carry_out(RunPlan plan, Detached* detached, const std::string& stored,
                      const InheritedHandles& inherited);

// `extra`: what is not an option. Returns the exit status.
int run_vm_here(const RunOptions& options, const std::vector<std::string>& extra);

}  // namespace banyan
