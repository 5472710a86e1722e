// DhcpServer: the only one of its network, so that it may also refuse what it did not give
// (RFC 2131, 4.3.2).
#pragma once

#include <optional>
#include <string>

#include "network/services/dhcp_message.hpp"
#include "network/services/lease_table.hpp"

namespace banyan {

struct DhcpConfig {
    Ipv4Address server;
    Ipv4Subnet subnet;
    Ipv4Address first;  // of those that are leased
    Ipv4Address last;
    std::optional<Ipv4Address> router;
    std::vector<Ipv4Address> dns;
    std::string domain;
};

class DhcpServer {
public:
    static constexpr uint32_t kLeaseSeconds = 3600;

    explicit DhcpServer(DhcpConfig config)
        : config_(std::move(config)), leases_(config_.first, config_.last) {}

    // `name`: the host name that the client is told; empty: none. Nothing: no answer.
    std::optional<DhcpReply> answer(const DhcpRequest& request, const std::string& name,
                                    uint64_t now_s);
    // Ignores what is not of this network.
    void restore(const MacAddress& mac, const Lease& lease);
    void remove_expired(uint64_t now_s) { leases_.remove_expired(now_s); }
    const LeaseTable& leases() const { return leases_; }

private:
    std::optional<DhcpReply> offer(const DhcpRequest& request, uint64_t now_s);
    std::optional<DhcpReply> acknowledge(const DhcpRequest& request, uint64_t now_s);
    void decline(const DhcpRequest& request, uint64_t now_s);
    DhcpReply reply(DhcpType type) const;

    const DhcpConfig config_;
    LeaseTable leases_;
};

}  // namespace banyan
