// Commands on VMs that are kept: create, start, remove, rename, set and supervise.
#pragma once

#include <string>
#include <vector>

#include "app/cli/run_options.hpp"

namespace banyan {

// The options as they were given. An empty text stands for the default.
struct StoreCommandOptions {
    std::string vm;
    std::string new_name;
    std::string file;
    std::string libvirt;
    std::string restart;
    std::string autostart;
    std::string directory;
    std::vector<std::string> unset;
    RunOptions run;  // declared, and read from the command itself
    bool force = false;
    bool attach = false;
    bool print_unit = false;
};

// Declares them at the program; parsing fills `options`, which must outlive it.
void add_store_commands(CLI::App& app, StoreCommandOptions& options);
bool is_store_command(const std::string& name);
// Returns the exit status.
int run_store_command(const CLI::App& command, const StoreCommandOptions& options);

}  // namespace banyan
