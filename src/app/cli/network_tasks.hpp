// What `banyan network` does: networks on disk, and their processes.
#pragma once

#include <string>

#include "app/cli/network_command.hpp"
#include "app/network/network_store.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

// What the options of `network create` describe; without a subnet one beside those `taken`.
Result<NetworkDefinition> parse_network(const NetworkCommandOptions& options,
                                        const std::vector<Ipv4Subnet>& taken);

// Writes the definition and starts its switch.
Result<void> create_network(const NetworkDefinition& network);
// Starts the switch of a network that is defined, unless it runs.
Result<void> ensure_network_runs(const std::string& name);
// Starts those that a VM is to be on, and fills in where it finds them.
Result<void> join_networks(std::vector<NetChoice>& nets);
Result<void> remove_network(const std::string& name);

Result<std::string> network_list_text();
Result<std::string> network_list_json();
Result<std::string> network_text(const std::string& name);
Result<std::string> network_json(const std::string& name);

}  // namespace banyan
