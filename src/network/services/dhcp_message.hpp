// DHCP messages (RFC 2131, RFC 2132) as they travel in UDP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "network/packets/addresses.hpp"

namespace banyan {

inline constexpr uint16_t kDhcpServerPort = 67;
inline constexpr uint16_t kDhcpClientPort = 68;

enum class DhcpType : uint8_t {  // RFC 2132, 9.6
    discover = 1,
    offer = 2,
    request = 3,
    decline = 4,
    ack = 5,
    nak = 6,
    release = 7,
    inform = 8,
};

// What a client asks.
struct DhcpRequest {
    DhcpType type = DhcpType::discover;
    uint32_t transaction = 0;
    uint16_t seconds = 0;
    bool broadcast = false;  // it cannot take a reply to an address that it does not have yet
    MacAddress mac;
    Ipv4Address client;  // the address that it has; 0: none
    std::optional<Ipv4Address> requested;
    std::optional<Ipv4Address> server;
    std::string host_name;  // empty: it said none, or what is no name
};

struct DhcpReply {
    DhcpType type = DhcpType::offer;
    Ipv4Address address;         // 0: none
    uint32_t lease_seconds = 0;  // 0: none
    Ipv4Address server;
    Ipv4Subnet subnet;
    std::optional<Ipv4Address> router;
    std::vector<Ipv4Address> dns;
    std::string domain;
    std::string host_name;
};

// Nothing: it is malformed, came through a relay, or is none of a client's.
std::optional<DhcpRequest> parse_dhcp(std::span<const std::byte> message);

std::vector<std::byte> build_dhcp(const DhcpRequest& request, const DhcpReply& reply);

// A name as DNS has it: in lower case, letters, digits and hyphens, up to 63; else empty.
std::string as_host_name(std::string_view text);

}  // namespace banyan
