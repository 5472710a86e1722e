// NetFilter: which frames a network card's driver wants (virtio 1.2, sections 5.1.6.5.1 to
// 5.1.6.5.3).
#pragma once

#include <cstdint>
#include <span>

#include "devices/virtio/virtio_net_regs.hpp"
#include "devices/virtio/virtio_net_state.hpp"

namespace banyan {

class NetFilter {
public:
    // Of one table; with more addresses than that the filter lets all of the kind through.
    static constexpr size_t kMostAddresses = 64;

    NetFilter();

    // What accepts() looks at: two addresses, a type, a VLAN tag.
    static constexpr size_t kStart = 18;
    // `start` has the first bytes of a frame, at least an Ethernet header; `mac` is the card's
    // address.
    bool accepts(std::span<const uint8_t> start, const virtio::MacAddress& mac,
                 bool filter_vlans) const;

    // False: there is no such mode or VLAN.
    bool set_mode(uint8_t command, uint8_t value);
    bool set_vlan(uint16_t vlan, bool on);
    // Both without their sizes, six bytes an address.
    void set_tables(std::span<const uint8_t> unicast, std::span<const uint8_t> multicast);

    void reset();
    const NetFilterState& state() const { return state_; }
    // False, and nothing changed: no filter could have saved this.
    bool restore(const NetFilterState& state);

private:
    bool mode(unsigned command) const;

    NetFilterState state_;
};

}  // namespace banyan
