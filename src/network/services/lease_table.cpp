#include "network/services/lease_table.hpp"

namespace banyan {

namespace {

uint32_t hash_of(const MacAddress& mac) {
    uint32_t hash = 2166136261U;  // FNV-1a
    for (const uint8_t byte : mac.bytes)
        hash = (hash ^ byte) * 16777619U;
    return hash ^ hash >> 16;
}

}  // namespace

bool LeaseTable::is_free(Ipv4Address address, const MacAddress& mac, uint64_t now_s) const {
    const auto refused = refused_.find(address.value);
    if (refused != refused_.end() && refused->second > now_s) return false;
    const auto holder = holders_.find(address.value);
    if (holder == holders_.end() || holder->second == mac) return true;
    return leases_.at(holder->second).expires_s <= now_s;
}

std::optional<Ipv4Address> LeaseTable::choose(const MacAddress& mac,
                                              std::optional<Ipv4Address> wanted,
                                              uint64_t now_s) const {
    const auto own = leases_.find(mac);
    if (own != leases_.end() && is_free(own->second.address, mac, now_s))
        return own->second.address;
    if (own == leases_.end() && leases_.size() >= kMostLeases) return {};
    if (wanted && is_in_pool(*wanted) && is_free(*wanted, mac, now_s)) return wanted;
    // At most as many are taken as there are leases and refusals.
    const uint32_t count = last_.value - first_.value + 1;
    const uint32_t start = hash_of(mac) % count;
    for (uint32_t i = 0; i < count && i <= 2 * kMostLeases; ++i) {
        const Ipv4Address address{first_.value + (start + i) % count};
        if (is_free(address, mac, now_s)) return address;
    }
    return {};
}

void LeaseTable::hold(const MacAddress& mac, Ipv4Address address, uint64_t until_s, bool bound) {
    const auto other = holders_.find(address.value);
    if (other != holders_.end() && other->second != mac) release(other->second);
    Lease& lease = leases_[mac];
    if (lease.address != address) holders_.erase(lease.address.value);
    lease.address = address;
    lease.expires_s = until_s;
    lease.bound = bound;
    holders_[address.value] = mac;
}

void LeaseTable::name(const MacAddress& mac, const std::string& host_name) {
    const auto own = leases_.find(mac);
    if (own != leases_.end()) own->second.host_name = host_name;
}

void LeaseTable::release(const MacAddress& mac) {
    const auto own = leases_.find(mac);
    if (own == leases_.end()) return;
    holders_.erase(own->second.address.value);
    leases_.erase(own);
}

void LeaseTable::refuse(Ipv4Address address, uint64_t until_s) {
    if (is_in_pool(address) && refused_.size() < kMostLeases) refused_[address.value] = until_s;
}

void LeaseTable::remove_expired(uint64_t now_s) {
    std::erase_if(refused_, [&](const auto& one) { return one.second <= now_s; });
    std::erase_if(leases_, [&](const auto& one) {
        if (one.second.expires_s > now_s) return false;
        holders_.erase(one.second.address.value);
        return true;
    });
}

const Lease* LeaseTable::find(const MacAddress& mac) const {
    const auto own = leases_.find(mac);
    return own != leases_.end() ? &own->second : nullptr;
}

}  // namespace banyan
