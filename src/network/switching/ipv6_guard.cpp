#include "network/switching/ipv6_guard.hpp"

#include <algorithm>

#include "network/packets/headers.hpp"

namespace banyan {

namespace {

constexpr size_t kIpv6At = sizeof(EthernetHeader);
constexpr uint16_t kDhcp6ServerPort = 547;  // RFC 8415, 7.2

// RFC 8200, 4.1, and RFC 4302.
enum class NextHeader : uint8_t {
    hop_by_hop = 0,
    udp = 17,
    routing = 43,
    fragment = 44,
    authentication = 51,
    icmp = 58,
    options = 60,
};

struct ExtensionHeader {
    uint8_t next = 0;
    uint8_t length = 0;
};

struct FragmentHeader {
    uint8_t next = 0;
    uint8_t reserved = 0;
    be16 offset;  // in 15:3
    be32 identification;
};
static_assert(sizeof(FragmentHeader) == 8);

// RFC 4861, 4.1 to 4.5.
enum class Icmp6 : uint8_t {
    router_solicitation = 133,
    router_advertisement = 134,
    neighbour_solicitation = 135,
    neighbour_advertisement = 136,
    redirect = 137,
};

struct IcmpBegin {
    uint8_t type = 0;
    uint8_t code = 0;
    be16 checksum;
    be32 flags;
};
static_assert(sizeof(IcmpBegin) == 8);

struct LinkAddressOption {  // RFC 4861, 4.6.1
    uint8_t type = 0;
    uint8_t length = 0;  // in 8 bytes
    MacAddress mac;
};
static_assert(sizeof(LinkAddressOption) == 8);
constexpr uint8_t kSourceLinkAddress = 1;
constexpr uint8_t kTargetLinkAddress = 2;

struct Transport {
    uint8_t protocol = 0;
    size_t at = 0;
    bool in_fragments = false;
    bool later_fragment = false;  // the transport is not in this one
};

// Nothing: the chain does not end within the head.
std::optional<Transport> find_transport(uint8_t first, std::span<const std::byte> head) {
    Transport found{.protocol = first, .at = kIpv6At + sizeof(Ipv6Header)};
    for (;;) {
        switch (static_cast<NextHeader>(found.protocol)) {
            case NextHeader::fragment: {
                const auto fragment = header_at<FragmentHeader>(head, found.at);
                if (!fragment) return {};
                found.in_fragments = true;
                found.later_fragment = (fragment->offset & 0xFFF8) != 0;
                found.protocol = fragment->next;
                found.at += sizeof(FragmentHeader);
                if (found.later_fragment) return found;
                break;
            }
            case NextHeader::hop_by_hop:
            case NextHeader::routing:
            case NextHeader::options:
            case NextHeader::authentication: {
                const auto extension = header_at<ExtensionHeader>(head, found.at);
                if (!extension) return {};
                const bool counts_words =
                    static_cast<NextHeader>(found.protocol) == NextHeader::authentication;
                found.at += counts_words ? (extension->length + size_t{2}) * 4
                                         : (extension->length + size_t{1}) * 8;
                found.protocol = extension->next;
                break;
            }
            default: return found.at <= head.size() ? std::optional(found) : std::nullopt;
        }
    }
}

bool is_unspecified(const Ipv6Address& address) {
    return std::all_of(address.begin(), address.end(),
                       [](std::byte byte) { return byte == std::byte{0}; });
}

bool is_multicast6(const Ipv6Address& address) {
    return address[0] == std::byte{0xFF};
}

// Options of neighbour discovery up to the packet's end: link addresses must be the port's.
std::optional<SwitchDrop> check_options(const SwitchPortConfig& port,
                                        std::span<const std::byte> packet, size_t at) {
    while (at < packet.size()) {
        const auto option = header_at<LinkAddressOption>(packet, at);
        if (!option || option->length == 0) return SwitchDrop::malformed;
        const bool link_address =
            option->type == kSourceLinkAddress || option->type == kTargetLinkAddress;
        if (link_address && port.mac && option->mac != *port.mac) return SwitchDrop::spoofed_mac;
        at += size_t{option->length} * 8;
    }
    return {};
}

// A solicitation without a source asks whether its target is free, to take it (RFC 4862, 5.4.2).
std::optional<SwitchDrop> check_discovery(const SwitchPortConfig& port, const Transport& transport,
                                          Icmp6 type, std::span<const std::byte> packet,
                                          Ipv6Claims& claims) {
    if (transport.in_fragments) return SwitchDrop::malformed;
    const size_t target_at = transport.at + sizeof(IcmpBegin);
    if (type == Icmp6::router_solicitation) return check_options(port, packet, target_at);
    const auto target = header_at<Ipv6Address>(packet, target_at);
    if (!target || is_multicast6(*target)) return SwitchDrop::malformed;
    const bool takes_target =
        type == Icmp6::neighbour_advertisement || !claims.addresses[0].has_value();
    if (takes_target) claims.addresses[1] = target;
    return check_options(port, packet, target_at + sizeof(Ipv6Address));
}

std::optional<SwitchDrop> check_icmp(const SwitchPortConfig& port, bool guard_servers,
                                     const Transport& transport, std::span<const std::byte> packet,
                                     Ipv6Claims& claims) {
    const auto icmp = header_at<IcmpBegin>(packet, transport.at);
    if (!icmp) return SwitchDrop::malformed;
    const auto type = static_cast<Icmp6>(icmp->type);
    switch (type) {
        case Icmp6::router_advertisement:
        case Icmp6::redirect:
            if (guard_servers && !port.routes_ipv6) return SwitchDrop::router;
            return {};
        case Icmp6::router_solicitation:
        case Icmp6::neighbour_solicitation:
        case Icmp6::neighbour_advertisement:
            return check_discovery(port, transport, type, packet, claims);
    }
    return {};
}

}  // namespace

std::optional<SwitchDrop> check_ipv6(const SwitchPortConfig& port, bool guard_servers,
                                     std::span<const std::byte> head, Ipv6Claims& claims) {
    const auto ip = header_at<Ipv6Header>(head, kIpv6At);
    if (!ip || !ip->is_well_formed() || is_multicast6(ip->source)) return SwitchDrop::malformed;
    if (!is_unspecified(ip->source)) claims.addresses[0] = ip->source;
    const auto transport = find_transport(ip->next_header, head);
    if (!transport) return SwitchDrop::malformed;
    if (transport->later_fragment) return {};
    // Without what fills a short frame up.
    const size_t end = kIpv6At + sizeof(Ipv6Header) + ip->payload_length;
    const auto packet = head.first(std::min(end, head.size()));
    switch (static_cast<NextHeader>(transport->protocol)) {
        case NextHeader::icmp: return check_icmp(port, guard_servers, *transport, packet, claims);
        case NextHeader::udp: {
            const auto udp = header_at<UdpHeader>(packet, transport->at);
            if (!udp) return SwitchDrop::malformed;
            if (guard_servers && !port.serves_dhcp && udp->source == kDhcp6ServerPort)
                return SwitchDrop::dhcp_server;
            return {};
        }
        default: return {};
    }
}

}  // namespace banyan
