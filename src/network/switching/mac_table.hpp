// MacTable: behind which port an address was seen. Bounded for each port; forgets what is silent.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "network/switching/switch_port_config.hpp"

namespace banyan {

using SwitchPortId = uint16_t;

class MacTable {
public:
    static constexpr uint64_t kAgeingNs = 300'000'000'000;  // 802.1Q, table 8-6: 300 s
    // A port that sends from ever new addresses fills its own share, not the table.
    static constexpr unsigned kMostOfPort = 64;

    struct Entry {
        MacAddress mac;
        VlanId vlan = 0;
        SwitchPortId port = 0;
    };

    explicit MacTable(size_t ports);

    // False: the port has as many as it may, and this one is not remembered.
    bool learn(const MacAddress& mac, VlanId vlan, SwitchPortId port, uint64_t now_ns);
    std::optional<SwitchPortId> find(const MacAddress& mac, VlanId vlan) const;
    void forget_port(SwitchPortId port);
    void forget_silent(uint64_t now_ns);
    // In no order.
    std::vector<Entry> entries() const;

private:
    struct Seen {
        SwitchPortId port = 0;
        uint64_t last_ns = 0;
    };
    struct Hash {
        size_t operator()(uint64_t key) const;
    };

    template <class Condition>
    void forget_if(Condition condition);

    std::unordered_map<uint64_t, Seen, Hash> seen_;
    std::vector<unsigned> of_port_;  // how many entries each has
};

}  // namespace banyan
