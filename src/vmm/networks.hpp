// The networks of a VM, made from what its user asks for.
#pragma once

#include <array>
#include <memory>

#include "backends/net/capture.hpp"
#include "backends/net/port_publisher.hpp"
#include "backends/net/rate_limit.hpp"
#include "vm/network.hpp"
#include "vm/poller.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

struct Network {
    std::unique_ptr<NetBackend> backend;
    uint16_t mtu = kEthernetMtu;     // what its card tells the guest
    PortPublisher* ports = nullptr;  // null: none can be published
    // Between the card and that; parts of the back end.
    RateLimit* limit = nullptr;
    Capture* capture = nullptr;
};

// What the card with this index is connected to. The poller outlives it.
Result<Network> open_network(const VmConfig& config, size_t index, Poller& poller);

// Of the card with this index: the user's, or one that the VM's name always gives.
std::array<uint8_t, 6> mac_address(const VmConfig& config, size_t index);

}  // namespace banyan
