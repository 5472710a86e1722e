// Answers of the network's DNS (RFC 1035) about its own members.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "network/packets/addresses.hpp"

namespace banyan {

inline constexpr uint16_t kDnsPort = 53;

// What the members are called. Names are in lower case and without the domain.
class DnsZone {
public:
    virtual std::string_view domain() const = 0;
    virtual Ipv4Subnet subnet() const = 0;
    virtual std::optional<Ipv4Address> address_of(std::string_view name) const = 0;
    virtual std::string name_of(Ipv4Address address) const = 0;  // empty: it has none
    // Another server, which clients also know, answers for the rest of the world: what is not of
    // the network is refused, so that they ask it. Without one there is no such name.
    virtual bool has_other_server() const = 0;

protected:
    ~DnsZone() = default;
};

// The answer to a query; empty: none. Never longer than the query and one record.
std::vector<std::byte> answer_dns(std::span<const std::byte> query, const DnsZone& zone);

}  // namespace banyan
