#include "network/services/dhcp_server.hpp"

namespace banyan {

namespace {

constexpr uint64_t kOfferSeconds = 30;
constexpr uint64_t kDeclineSeconds = 600;

}  // namespace

std::optional<DhcpReply> DhcpServer::answer(const DhcpRequest& request, const std::string& name,
                                            uint64_t now_s) {
    std::optional<DhcpReply> answer;
    switch (request.type) {
        case DhcpType::discover: answer = offer(request, now_s); break;
        case DhcpType::request: answer = acknowledge(request, now_s); break;
        case DhcpType::inform: answer = reply(DhcpType::ack); break;  // 4.3.5: no address, no time
        case DhcpType::decline: decline(request, now_s); break;
        case DhcpType::release: leases_.release(request.mac); break;
        default: break;
    }
    if (answer && answer->type != DhcpType::nak) answer->host_name = name;
    return answer;
}

DhcpReply DhcpServer::reply(DhcpType type) const {
    return {.type = type,
            .address = {},
            .lease_seconds = 0,
            .server = config_.server,
            .subnet = config_.subnet,
            .router = config_.router,
            .dns = config_.dns,
            .domain = config_.domain,
            .host_name = {}};
}

// RFC 2131, 4.3.1.
std::optional<DhcpReply> DhcpServer::offer(const DhcpRequest& request, uint64_t now_s) {
    const auto address = leases_.choose(request.mac, request.requested, now_s);
    if (!address) return {};
    const Lease* known = leases_.find(request.mac);
    if (known == nullptr || !known->bound || known->expires_s <= now_s)
        leases_.hold(request.mac, *address, now_s + kOfferSeconds, false);
    DhcpReply offered = reply(DhcpType::offer);
    offered.address = *address;
    offered.lease_seconds = kLeaseSeconds;
    return offered;
}

// 4.3.2: after an offer the client names the server and the address; after its own restart the
// address alone; when it renews, it has the address already.
std::optional<DhcpReply> DhcpServer::acknowledge(const DhcpRequest& request, uint64_t now_s) {
    if (request.server && *request.server != config_.server) {
        leases_.release(request.mac);
        return {};
    }
    const Ipv4Address wanted = request.requested.value_or(request.client);
    const auto address = leases_.choose(request.mac, wanted, now_s);
    if (!address || *address != wanted) return reply(DhcpType::nak);
    leases_.hold(request.mac, wanted, now_s + kLeaseSeconds, true);
    leases_.name(request.mac, request.host_name);
    DhcpReply given = reply(DhcpType::ack);
    given.address = wanted;
    given.lease_seconds = kLeaseSeconds;
    return given;
}

void DhcpServer::restore(const MacAddress& mac, const Lease& lease) {
    if (!leases_.is_in_pool(lease.address) || leases_.all().size() >= LeaseTable::kMostLeases)
        return;
    leases_.hold(mac, lease.address, lease.expires_s, true);
    leases_.name(mac, as_host_name(lease.host_name));
}

void DhcpServer::decline(const DhcpRequest& request, uint64_t now_s) {
    const Lease* known = leases_.find(request.mac);
    if (known == nullptr || request.requested != known->address) return;
    leases_.refuse(known->address, now_s + kDeclineSeconds);
    leases_.release(request.mac);
}

}  // namespace banyan
