// Addresses of Ethernet and IPv4, and their texts.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace banyan {

// As in a frame.
struct MacAddress {
    std::array<uint8_t, 6> bytes{};

    auto operator<=>(const MacAddress&) const = default;

    bool is_multicast() const { return (bytes[0] & 1) != 0; }  // broadcast included
    bool is_zero() const { return *this == MacAddress{}; }
};

inline constexpr MacAddress kBroadcastMac{{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};

struct Ipv4Address {
    uint32_t value = 0;  // 10.0.0.1 is 0x0A000001

    auto operator<=>(const Ipv4Address&) const = default;
};

// A block of addresses: "10.1.2.0/24".
struct Ipv4Subnet {
    Ipv4Address network;
    unsigned prefix = 24;

    auto operator<=>(const Ipv4Subnet&) const = default;

    uint32_t mask() const { return prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix); }
    bool contains(Ipv4Address address) const { return (address.value & mask()) == network.value; }
    bool overlaps(const Ipv4Subnet& other) const {
        return contains(other.network) || other.contains(network);
    }
    Ipv4Address host(uint32_t number) const { return {network.value + number}; }
    Ipv4Address broadcast() const { return {network.value | ~mask()}; }
};

std::string to_text(const MacAddress& address);  // "52:54:00:12:34:56"
std::string to_text(Ipv4Address address);
std::string to_text(const Ipv4Subnet& subnet);

std::optional<MacAddress> parse_mac(std::string_view text);
std::optional<Ipv4Address> parse_ipv4(std::string_view text);
// Nothing if bits beyond the prefix are set.
std::optional<Ipv4Subnet> parse_subnet(std::string_view text);

}  // namespace banyan
