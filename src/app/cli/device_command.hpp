// `banyan device`: the devices of a running VM, which come and go.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan {

// The options as they were given. An empty text stands for the default.
struct DeviceCommandOptions {
    std::string vm;  // its name or process number
    std::string id;
    std::string disk;
    std::string net;
    std::vector<std::string> published;
    std::string size;
    std::string timeout;
    bool json = false;
};

// Declares its subcommands at the command; parsing fills `options`, which must outlive it.
void add_device_commands(CLI::App& command, DeviceCommandOptions& options);
// Returns the exit status.
int run_device_command(const CLI::App& command, const DeviceCommandOptions& options);

}  // namespace banyan
