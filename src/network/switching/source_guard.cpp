#include "network/switching/source_guard.hpp"

#include "network/packets/headers.hpp"

namespace banyan {

namespace {

constexpr size_t kNetwork = sizeof(EthernetHeader);
constexpr uint16_t kDhcpServerPort = 67;

uint16_t type_of(std::span<const std::byte> head) {
    const auto ethernet = header_at<EthernetHeader>(head, 0);
    return ethernet ? uint16_t{ethernet->type} : uint16_t{0};
}

// A later fragment has no ports.
std::optional<UdpHeader> udp_of(const Ipv4Header& ip, std::span<const std::byte> head) {
    if (!ip.is_well_formed() || ip.protocol != ip_protocol::kUdp || !ip.is_first_fragment())
        return {};
    return header_at<UdpHeader>(head, kNetwork + ip.size());
}

// Probes and what asks for an address have none yet (RFC 5227, 2.1.1; RFC 2131, 4.1).
bool may_be_source(const SwitchPortConfig& port, uint32_t source) {
    return source == 0 || source == port.ipv4->value;
}

}  // namespace

std::optional<SwitchDrop> check_ipv4_source(const SwitchPortConfig& port,
                                            std::span<const std::byte> head) {
    const uint16_t type = type_of(head);
    if (type == ethertype::kArp) {
        const auto arp = header_at<ArpPacket>(head, kNetwork);
        if (!arp) return SwitchDrop::malformed;
        if (port.mac && arp->sender_mac != *port.mac) return SwitchDrop::spoofed_mac;
        if (port.ipv4 && !may_be_source(port, arp->sender_ip)) return SwitchDrop::spoofed_ipv4;
    } else if (type == ethertype::kIpv4 && port.ipv4) {
        const auto ip = header_at<Ipv4Header>(head, kNetwork);
        if (!ip || !ip->is_well_formed()) return SwitchDrop::malformed;
        if (!may_be_source(port, ip->source)) return SwitchDrop::spoofed_ipv4;
    }
    return {};
}

std::optional<SwitchDrop> check_dhcp_source(const SwitchPortConfig& port,
                                            std::span<const std::byte> head) {
    if (port.serves_dhcp || type_of(head) != ethertype::kIpv4) return {};
    const auto ip = header_at<Ipv4Header>(head, kNetwork);
    const auto udp = ip ? udp_of(*ip, head) : std::nullopt;
    if (udp && udp->source == kDhcpServerPort) return SwitchDrop::dhcp_server;
    return {};
}

}  // namespace banyan
