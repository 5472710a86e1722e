// Commands on VMs that run: list, show, stop, kill, reset, pause, resume, wait, events, console,
// logs, publish and unpublish.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan {

// The options as they were given. An empty text stands for the default.
struct VmCommandOptions {
    std::string vm;  // its name or process number
    std::string timeout;
    std::vector<std::string> ports;  // to publish
    bool json = false;
    bool toml = false;
    bool all = false;
    bool force = false;
    bool follow = false;
    bool messages = false;
};

// Declares them at the program; parsing fills `options`, which must outlive it.
void add_vm_commands(CLI::App& app, VmCommandOptions& options);
bool is_vm_command(const std::string& name);
// Returns the exit status.
int run_vm_command(const std::string& name, const VmCommandOptions& options);

}  // namespace banyan
