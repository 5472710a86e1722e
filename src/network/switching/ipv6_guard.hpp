// What a frame of IPv6 says of its sender, for a switch that believes no member: neighbour
// discovery (RFC 4861), router advertisements (RFC 6105), servers of DHCPv6 (RFC 7610).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "network/switching/switch_port_config.hpp"

namespace banyan {

using Ipv6Address = std::array<std::byte, 16>;

// Addresses that the sender says are its own: the source, and what neighbour discovery tells.
struct Ipv6Claims {
    std::array<std::optional<Ipv6Address>, 2> addresses;
};

// `head` is the beginning of a frame of IPv6 that has lost its tag. A chain of headers that does
// not end within it is refused, because what follows would be unknown (RFC 7112), and so is
// neighbour discovery in fragments (RFC 6980). `guard_servers`: routers and servers of DHCPv6 are
// refused at ports that are not for them. Nothing: it may pass, if the claims are true.
std::optional<SwitchDrop> check_ipv6(const SwitchPortConfig& port, bool guard_servers,
                                     std::span<const std::byte> head, Ipv6Claims& claims);

}  // namespace banyan
