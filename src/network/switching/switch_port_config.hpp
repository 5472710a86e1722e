// What a port of a switch may do, what it has done, and why frames were dropped.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "network/packets/addresses.hpp"

namespace banyan {

using VlanId = uint16_t;
inline constexpr VlanId kDefaultVlan = 1;
inline constexpr VlanId kLastVlan = 4094;  // 802.1Q, table 9-2: 0 and 4095 are none

struct SwitchPortConfig {
    // It sends from this address only, and no other port does. Nothing: from any that is not
    // another port's.
    std::optional<MacAddress> mac = {};
    // The same for IPv4 and ARP; known when a lease is.
    std::optional<Ipv4Address> ipv4 = {};
    // The VLAN of frames without a tag, to and from it; 0: it takes none. A port with others is a
    // trunk, where those have tags.
    VlanId vlan = kDefaultVlan;
    std::vector<VlanId> tagged_vlans = {};
    // Reaches only ports that are not isolated.
    bool isolated = false;
    // May answer DHCP requests, where the switch guards them.
    bool serves_dhcp = false;
    // May advertise itself as a router of IPv6, under the same guard.
    bool routes_ipv6 = false;
    // What it may send; 0: no limit.
    uint64_t bytes_per_second = 0;
    // Frames that go to all: broadcasts, multicasts, those to unknown addresses; 0: no limit.
    uint64_t flooded_per_second = 10'000;
};

enum class SwitchDrop : uint8_t {
    malformed,     // too short, or its information is not of this frame
    reserved,      // to an address that no bridge forwards
    spoofed_mac,   // from an address that is not the port's
    spoofed_ipv4,  // IPv4 or ARP from an address that is not the port's
    spoofed_ipv6,  // IPv6 or neighbour discovery from an address that is another port's
    dhcp_server,   // answers DHCP, and may not
    router,        // advertises a router of IPv6, and may not
    vlan,          // of a VLAN that the port is not in
    rate,          // above bytes_per_second
    storm,         // above flooded_per_second
    isolated,      // between two isolated ports
    share,         // the receiver is crowded, and this sender the heaviest
    no_room,       // the receiver has no room
};
inline constexpr size_t kSwitchDrops = 13;
std::string_view to_text(SwitchDrop reason);  // "spoofed-mac"

struct SwitchPortCounters {
    uint64_t received_frames = 0;  // by the switch, from the port
    uint64_t received_bytes = 0;
    uint64_t sent_frames = 0;  // by the switch, to the port
    uint64_t sent_bytes = 0;
    // Of frames from this port, but for no_room, which counts those to it.
    std::array<uint64_t, kSwitchDrops> drops{};
    uint64_t not_learned = 0;  // addresses beyond the port's bound

    uint64_t& dropped(SwitchDrop reason) { return drops[static_cast<size_t>(reason)]; }
    uint64_t dropped(SwitchDrop reason) const { return drops[static_cast<size_t>(reason)]; }
};

}  // namespace banyan
