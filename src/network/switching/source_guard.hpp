// Whether a frame says the truth about where it comes from.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "network/switching/switch_port_config.hpp"

namespace banyan {

// `head` is the beginning of a frame that has lost its tag. Looks at IPv4 and ARP;
// ipv6_guard.hpp is for IPv6. Nothing: it may pass.
std::optional<SwitchDrop> check_ipv4_source(const SwitchPortConfig& port,
                                            std::span<const std::byte> head);

// The same for answers of DHCP servers.
std::optional<SwitchDrop> check_dhcp_source(const SwitchPortConfig& port,
                                            std::span<const std::byte> head);

}  // namespace banyan
