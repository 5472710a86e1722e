// What a user asks for in one network.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "network/packets/addresses.hpp"
#include "network/switching/switch_port_config.hpp"
#include "support/result.hpp"

namespace banyan {

// Of one member, by its name; what it asks for itself does not count then.
struct MemberDefinition {
    VlanId vlan = kDefaultVlan;  // of frames without a tag; 0: none
    std::vector<VlanId> tagged;

    bool operator==(const MemberDefinition&) const = default;
};

struct NetworkDefinition {
    std::string name;
    Ipv4Subnet subnet;
    bool nat = false;               // reaches what the host reaches
    bool private_members = false;   // they reach the network's services, not each other
    bool dhcp = true;               // and DNS
    uint64_t bytes_per_second = 0;  // each member may send; 0: no limit
    std::map<std::string, MemberDefinition> members;

    bool operator==(const NetworkDefinition&) const = default;
};

// "web-1": as is_port_name(), at most 32 characters: it is also part of socket paths.
bool is_network_name(std::string_view name);
// A block for networks of which nobody said where they are: by the name, out of 10.64.0.0/10,
// beside `taken`. Nothing: all are taken.
std::optional<Ipv4Subnet> choose_subnet(std::string_view name,
                                        const std::vector<Ipv4Subnet>& taken);

Result<void> validate(const NetworkDefinition& definition);

std::string to_json(const NetworkDefinition& definition);
// `name`: for the message of an error, and the network's.
Result<NetworkDefinition> network_from_json(const std::string& name, std::string_view text);

}  // namespace banyan
