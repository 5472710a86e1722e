// The networks of a VM, made from what its user asks for.
#pragma once

#include <array>
#include <memory>

#include "vm/network.hpp"
#include "vm/poller.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

struct Network {
    std::unique_ptr<NetBackend> backend;
    uint16_t mtu = kEthernetMtu;  // what its card tells the guest
};

// What the card with this index is connected to. The poller outlives it.
Result<Network> open_network(const VmConfig& config, size_t index, Poller& poller);

// Of the card with this index: the user's, or one that the VM's name always gives.
std::array<uint8_t, 6> mac_address(const VmConfig& config, size_t index);

}  // namespace banyan
