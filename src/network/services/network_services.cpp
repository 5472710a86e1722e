#include "network/services/network_services.hpp"

#include <algorithm>

#include "network/packets/internet_checksum.hpp"
#include "support/object_bytes.hpp"
#include "vm/network.hpp"

namespace banyan {

namespace {

constexpr size_t kNetwork = sizeof(EthernetHeader);
constexpr size_t kLargestDatagram = 1500;
constexpr uint32_t kMostLeased = 65536;

constexpr uint16_t kArpEthernet = 1;
constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kArpReply = 2;

DhcpConfig dhcp_config(const ServicesConfig& config) {
    const Ipv4Address own = config.subnet.host(NetworkServices::kOwnHost);
    const Ipv4Address first = config.subnet.host(NetworkServices::kFirstLeasedHost);
    const uint32_t last =
        std::min(config.subnet.broadcast().value - 1, first.value + kMostLeased - 1);
    std::vector<Ipv4Address> dns{own};
    if (config.other_dns) dns.push_back(*config.other_dns);
    return {.server = own,
            .subnet = config.subnet,
            .first = first,
            .last = {last},
            .router = config.router,
            .dns = std::move(dns),
            .domain = config.network};
}

std::string lower_case(std::string name) {
    for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return name;
}

std::vector<std::byte> udp_message(uint16_t from, uint16_t to, std::span<const std::byte> data) {
    const auto length = static_cast<uint16_t>(sizeof(UdpHeader) + data.size());
    std::vector<std::byte> message = bytes_of(UdpHeader{from, to, length, uint16_t{0}});
    message.insert(message.end(), data.begin(), data.end());
    return message;
}

}  // namespace

NetworkServices::NetworkServices(ServicesConfig config)
    : config_([&] {
          config.network = lower_case(config.network);
          return std::move(config);
      }()),
      dhcp_(dhcp_config(config_)) {}

void NetworkServices::add_member(const MacAddress& mac, const std::string& name) {
    members_[mac] = lower_case(name);
}

void NetworkServices::handle(std::span<const std::byte> frame, uint64_t now_s, const Send& send,
                             const Leased& leased) {
    const auto ethernet = header_at<EthernetHeader>(frame, 0);
    if (!ethernet || frame.size() > kNetwork + kLargestDatagram) return;
    if (!ethernet->destination.is_multicast() && ethernet->destination != config_.mac) return;
    if (ethernet->type == ethertype::kArp) handle_arp(frame, send);
    if (ethernet->type == ethertype::kIpv4) handle_ipv4(frame, now_s, send, leased);
}

void NetworkServices::handle_arp(std::span<const std::byte> frame, const Send& send) const {
    const auto arp = header_at<ArpPacket>(frame, kNetwork);
    if (!arp || arp->hardware != kArpEthernet || arp->protocol != ethertype::kIpv4 ||
        arp->operation != kArpRequest || arp->target_ip != address().value)
        return;
    ArpPacket reply = *arp;
    reply.operation = kArpReply;
    reply.sender_mac = config_.mac;
    reply.sender_ip = address().value;
    reply.target_mac = arp->sender_mac;
    reply.target_ip = arp->sender_ip;
    std::vector<std::byte> answer =
        bytes_of(EthernetHeader{arp->sender_mac, config_.mac, ethertype::kArp});
    append_object(answer, reply);
    send(answer);
}

// The checksums of members are not looked at: their frames come from memory, not from a wire, and
// may be unfinished.
void NetworkServices::handle_ipv4(std::span<const std::byte> frame, uint64_t now_s,
                                  const Send& send, const Leased& leased) {
    const auto ethernet = *header_at<EthernetHeader>(frame, 0);
    const auto ip = header_at<Ipv4Header>(frame, kNetwork);
    if (!ip || !ip->is_well_formed() || ip->is_fragment() || ip->total_length < ip->size() ||
        ip->total_length > frame.size() - kNetwork)
        return;
    const auto payload = frame.subspan(kNetwork + ip->size(), ip->total_length - ip->size());
    if (ip->protocol == ip_protocol::kIcmp) return handle_echo(ethernet, *ip, payload, send);
    const auto udp = header_at<UdpHeader>(payload, 0);
    if (ip->protocol != ip_protocol::kUdp || !udp || udp->length < sizeof(UdpHeader) ||
        udp->length > payload.size())
        return;
    const Datagram datagram{ethernet, *ip, *udp,
                            payload.subspan(sizeof(UdpHeader), udp->length - sizeof(UdpHeader))};
    if (udp->destination == kDhcpServerPort) handle_dhcp(datagram, now_s, send, leased);
    if (udp->destination == kDnsPort) handle_dns(datagram, send);
}

void NetworkServices::handle_echo(const EthernetHeader& ethernet, const Ipv4Header& ip,
                                  std::span<const std::byte> message, const Send& send) const {
    const auto echo = header_at<IcmpHeader>(message, 0);
    if (!echo || echo->type != IcmpHeader::kEcho || ip.destination != address().value) return;
    std::vector<std::byte> reply(message.begin(), message.end());
    IcmpHeader header = *echo;
    header.type = IcmpHeader::kEchoReply;
    header.checksum = uint16_t{0};
    put_header<IcmpHeader>(reply, 0, header);
    header.checksum = InternetChecksum().add(reply).value();
    put_header<IcmpHeader>(reply, 0, header);
    Ipv4Header back;
    back.protocol = ip_protocol::kIcmp;
    back.source = address().value;
    back.destination = ip.source;
    send_ipv4(ethernet.source, back, reply, send);
}

// Who asks for another's address is not answered: it could take all there are. Where the reply
// goes: RFC 2131, 4.1.
void NetworkServices::handle_dhcp(const Datagram& datagram, uint64_t now_s, const Send& send,
                                  const Leased& leased) {
    const auto request = parse_dhcp(datagram.data);
    if (!request || request->mac != datagram.ethernet.source) return;
    const auto member = members_.find(request->mac);
    const std::string name = member != members_.end() ? member->second : std::string();
    const auto reply = dhcp_.answer(*request, name, now_s);
    if (!reply) return;
    if (reply->type == DhcpType::ack && reply->address.value != 0)
        leased(request->mac, reply->address);
    const bool nak = reply->type == DhcpType::nak;
    const bool to_all = nak || (request->client.value == 0 && request->broadcast);
    const Ipv4Address unicast = request->client.value != 0 ? request->client : reply->address;
    Ipv4Header ip;
    ip.protocol = ip_protocol::kUdp;
    ip.source = address().value;
    ip.destination = to_all ? ~uint32_t{0} : unicast.value;
    send_ipv4(to_all ? kBroadcastMac : request->mac, ip,
              udp_message(kDhcpServerPort, kDhcpClientPort, build_dhcp(*request, *reply)), send);
}

void NetworkServices::handle_dns(const Datagram& datagram, const Send& send) const {
    if (datagram.ip.destination != address().value) return;
    const std::vector<std::byte> answer = answer_dns(datagram.data, *this);
    if (answer.empty()) return;
    Ipv4Header ip;
    ip.protocol = ip_protocol::kUdp;
    ip.source = address().value;
    ip.destination = datagram.ip.source;
    send_ipv4(datagram.ethernet.source, ip, udp_message(kDnsPort, datagram.udp.source, answer),
              send);
}

void NetworkServices::send_ipv4(const MacAddress& to, Ipv4Header ip,
                                std::span<const std::byte> payload, const Send& send) const {
    ip.total_length = static_cast<uint16_t>(sizeof(ip) + payload.size());
    ip.checksum = uint16_t{0};
    ip.checksum = ipv4_header_checksum(bytes_of(ip));
    std::vector<std::byte> frame = bytes_of(EthernetHeader{to, config_.mac, ethertype::kIpv4});
    append_object(frame, ip);
    frame.insert(frame.end(), payload.begin(), payload.end());
    send(frame);
}

std::string NetworkServices::name_of(const MacAddress& mac) const {
    const auto member = members_.find(mac);
    if (member != members_.end()) return member->second;
    const Lease* lease = leases().find(mac);
    if (lease == nullptr || lease->host_name.empty()) return {};
    const bool taken = std::any_of(members_.begin(), members_.end(),
                                   [&](const auto& one) { return one.second == lease->host_name; });
    return taken ? std::string() : lease->host_name;
}

// Of two clients that say the same name, the one with the lower MAC has it.
std::optional<Ipv4Address> NetworkServices::address_of(std::string_view name) const {
    for (const auto& [mac, lease] : leases().all()) {
        if (lease.bound && name_of(mac) == name) return lease.address;
    }
    return {};
}

std::string NetworkServices::name_of(Ipv4Address address) const {
    for (const auto& [mac, lease] : leases().all()) {
        if (lease.bound && lease.address == address) return name_of(mac);
    }
    return {};
}

}  // namespace banyan
