// LeaseTable: which member has which address, and until when. Bounded by the block of addresses.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "network/packets/addresses.hpp"

namespace banyan {

struct Lease {
    Ipv4Address address;
    uint64_t expires_s = 0;
    bool bound = false;          // acknowledged; else offered only
    std::string host_name = {};  // as the client says; empty: none
};

// The same MAC gets the same address, where it is free: a switch that starts anew knows no leases,
// and gives the old ones again.
class LeaseTable {
public:
    static constexpr size_t kMostLeases = 4096;

    LeaseTable(Ipv4Address first, Ipv4Address last) : first_(first), last_(last) {}

    bool is_in_pool(Ipv4Address address) const { return address >= first_ && address <= last_; }

    // Its address, or one for it: `wanted` if that is free. Nothing: there is none left.
    std::optional<Ipv4Address> choose(const MacAddress& mac, std::optional<Ipv4Address> wanted,
                                      uint64_t now_s) const;
    // Precondition: the address is what choose() gave.
    void hold(const MacAddress& mac, Ipv4Address address, uint64_t until_s, bool bound);
    void name(const MacAddress& mac, const std::string& host_name);
    void release(const MacAddress& mac);
    // Somebody else uses it.
    void refuse(Ipv4Address address, uint64_t until_s);
    void remove_expired(uint64_t now_s);

    const Lease* find(const MacAddress& mac) const;
    const std::map<MacAddress, Lease>& all() const { return leases_; }

private:
    bool is_free(Ipv4Address address, const MacAddress& mac, uint64_t now_s) const;

    Ipv4Address first_;
    Ipv4Address last_;
    std::map<MacAddress, Lease> leases_;
    std::unordered_map<uint32_t, MacAddress> holders_;  // of leases
    std::unordered_map<uint32_t, uint64_t> refused_;    // until when
};

}  // namespace banyan
