// `banyan network`: its sub-commands and their options.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan {

// As they were given. An empty text stands for the default.
struct NetworkCommandOptions {
    std::string name;
    std::string subnet;
    std::string rate;
    std::string output;               // of a capture
    std::string port;                 // of a capture: the member
    std::string card;                 // of a VM
    std::vector<std::string> vlans;   // MEMBER=VLAN
    std::vector<std::string> trunks;  // MEMBER=VLAN,VLAN...
    bool isolated = false;
    bool nat = false;
    bool private_members = false;
    bool no_dhcp = false;
    bool json = false;
};

// Declares the sub-commands; parsing fills `options`, which must outlive them.
void add_network_commands(CLI::App& network, NetworkCommandOptions& options);

// Does what the one that was given asks for; returns the exit status.
int run_network_command(const CLI::App& network, const NetworkCommandOptions& options);

}  // namespace banyan
