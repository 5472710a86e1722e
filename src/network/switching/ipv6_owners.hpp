// Ipv6Owners: whose IPv6 addresses are whose: the first that uses one has it (RFC 6620), until its
// port goes.
#pragma once

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "network/switching/ipv6_guard.hpp"
#include "network/switching/mac_table.hpp"

namespace banyan {

class Ipv6Owners {
public:
    // A member's own, and those that it gives itself for its privacy (RFC 8981); of more, the
    // oldest are free again.
    static constexpr size_t kMostOfPort = 16;

    explicit Ipv6Owners(size_t ports) : of_port_(ports) {}

    // False: it is another port's. `trusted`: takes it from anybody.
    bool claim(const Ipv6Address& address, VlanId vlan, SwitchPortId port, bool trusted) {
        const Key key{vlan, address};
        const auto [owner, is_new] = owners_.try_emplace(key, Owner{port, trusted});
        if (!is_new) {
            if (owner->second.port == port) return true;
            if (!trusted || owner->second.trusted) return false;
            std::erase(of_port_[owner->second.port], key);
            owner->second = {port, trusted};
        }
        std::vector<Key>& own = of_port_[port];
        if (own.size() == kMostOfPort) {
            owners_.erase(own.front());
            own.erase(own.begin());
        }
        own.push_back(key);
        return true;
    }
    void forget_port(SwitchPortId port) {
        for (const Key& key : of_port_[port])
            owners_.erase(key);
        of_port_[port].clear();
    }
    size_t size() const { return owners_.size(); }

private:
    using Key = std::pair<VlanId, Ipv6Address>;
    struct Owner {
        SwitchPortId port = 0;
        bool trusted = false;
    };

    std::map<Key, Owner> owners_;
    std::vector<std::vector<Key>> of_port_;  // the oldest first
};

}  // namespace banyan
