// The networks of a VM, made from what its user asks for.
#pragma once

#include <array>
#include <memory>
#include <string>

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

// What a card with this address is connected to, of the VM with this name. The poller outlives it.
Result<Network> open_network(const std::string& vm, const NetChoice& choice,
                             const std::array<uint8_t, 6>& mac, Poller& poller);

// Of the VM's card that is called so ("net0"): the user's, or one that these names always give.
std::array<uint8_t, 6> mac_address(const std::string& vm, const NetChoice& choice,
                                   const std::string& card);

// The cards that the VM starts with are called "net0", ...
std::string name_of_card(size_t index);

}  // namespace banyan
