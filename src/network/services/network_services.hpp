// NetworkServices: the host at a network's own address, which answers ARP, ping, DHCP and DNS.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "network/packets/headers.hpp"
#include "network/services/dhcp_server.hpp"
#include "network/services/dns_responder.hpp"

namespace banyan {

struct ServicesConfig {
    std::string network;  // its name, and the domain of its members
    MacAddress mac;
    Ipv4Subnet subnet;
    std::optional<Ipv4Address> router = {};
    std::optional<Ipv4Address> other_dns = {};
};

class NetworkServices final : private DnsZone {
public:
    using Send = std::function<void(std::span<const std::byte> frame)>;
    using Leased = std::function<void(const MacAddress& mac, Ipv4Address address)>;

    // The first of the subnet's hosts; the second and third are those of an uplink.
    static constexpr uint32_t kOwnHost = 1;
    static constexpr uint32_t kFirstLeasedHost = 10;

    explicit NetworkServices(ServicesConfig config);

    // A frame that came to the port, in full, which nobody has checked. It may call `send` with
    // the answer, and `leased`.
    void handle(std::span<const std::byte> frame, uint64_t now_s, const Send& send,
                const Leased& leased);
    void remove_expired(uint64_t now_s) { dhcp_.remove_expired(now_s); }

    // A member whose name is known: no other member gets that name.
    void add_member(const MacAddress& mac, const std::string& name);
    void remove_member(const MacAddress& mac) { members_.erase(mac); }

    // As it was given before this object was there.
    void restore_lease(const MacAddress& mac, const Lease& lease) { dhcp_.restore(mac, lease); }

    Ipv4Address address() const { return config_.subnet.host(kOwnHost); }
    const LeaseTable& leases() const { return dhcp_.leases(); }
    // Empty: it has none.
    std::string name_of(const MacAddress& mac) const;

private:
    struct Datagram {
        EthernetHeader ethernet;
        Ipv4Header ip;
        UdpHeader udp;
        std::span<const std::byte> data;
    };

    void handle_arp(std::span<const std::byte> frame, const Send& send) const;
    void handle_ipv4(std::span<const std::byte> frame, uint64_t now_s, const Send& send,
                     const Leased& leased);
    void handle_echo(const EthernetHeader& ethernet, const Ipv4Header& ip,
                     std::span<const std::byte> message, const Send& send) const;
    void handle_dhcp(const Datagram& datagram, uint64_t now_s, const Send& send,
                     const Leased& leased);
    void handle_dns(const Datagram& datagram, const Send& send) const;
    void send_ipv4(const MacAddress& to, Ipv4Header ip, std::span<const std::byte> payload,
                   const Send& send) const;

    std::string_view domain() const override { return config_.network; }
    Ipv4Subnet subnet() const override { return config_.subnet; }
    std::optional<Ipv4Address> address_of(std::string_view name) const override;
    std::string name_of(Ipv4Address address) const override;
    bool has_other_server() const override { return config_.other_dns.has_value(); }

    const ServicesConfig config_;
    DhcpServer dhcp_;
    std::map<MacAddress, std::string> members_;
};

}  // namespace banyan
