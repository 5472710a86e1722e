// The saved state of a network card, beside what all virtio devices share. Whether the link is up
// belongs to the outside.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace banyan {

// What the driver wants to receive.
struct NetFilterState {
    // Bit n: command n of the class RX (virtio 1.2, 5.1.6.5.1) is on. At first a card receives
    // everything, for drivers that cannot say what they want.
    uint8_t modes = 1;
    std::vector<uint8_t> unicast;  // six bytes an address
    std::vector<uint8_t> multicast;
    bool all_unicast = false;  // there were too many addresses
    bool all_multicast = false;
    std::array<uint64_t, 64> vlans{};  // a bit for each
};

template <class Visitor>
void visit_fields(Visitor& v, NetFilterState& s) {
    auto& [modes, unicast, multicast, all_unicast, all_multicast, vlans] = s;
    v.field(1, modes);
    v.field(2, unicast);
    v.field(3, multicast);
    v.field(4, all_unicast);
    v.field(5, all_multicast);
    v.field(6, vlans);
}

struct VirtioNetStateV1 {
    static constexpr std::string_view kKind = "virtio-net";
    static constexpr uint32_t kVersion = 1;
    std::array<uint8_t, 6> mac{};
    bool announce = false;      // the driver was asked to, and has not done so yet
    uint16_t pairs = 1;         // that the driver uses
    bool offloads_set = false;  // by a command; until then those that were negotiated
    uint64_t offloads = 0;
    NetFilterState filter;
};

template <class Visitor>
void visit_fields(Visitor& v, VirtioNetStateV1& s) {
    auto& [mac, announce, pairs, offloads_set, offloads, filter] = s;
    v.field(1, mac);
    v.field(2, announce);
    v.field(3, pairs);
    v.field(4, offloads_set);
    v.field(5, offloads);
    v.field(6, filter);
}

}  // namespace banyan
