#include "devices/virtio/virtio_net_filter.hpp"

#include <algorithm>

namespace banyan {

using namespace virtio;

namespace {

constexpr size_t kMacSize = sizeof(MacAddress);
constexpr size_t kTableBytes = NetFilter::kMostAddresses * kMacSize;
constexpr uint8_t kModes = (1U << (kNetRxNoBroadcast + 1U)) - 1U;
constexpr uint16_t kVlanTag = 0x8100;
constexpr unsigned kVlans = 4096;

// Commands of the class RX, in their order.
enum RxMode : unsigned { promisc, all_multi, all_uni, no_multi, no_uni, no_broadcast };

uint16_t be16_at(std::span<const uint8_t> bytes, size_t at) {
    return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

bool in_table(const std::vector<uint8_t>& table, std::span<const uint8_t> address) {
    for (size_t at = 0; at < table.size(); at += kMacSize) {
        if (std::equal(address.begin(), address.end(), table.begin() + static_cast<long>(at)))
            return true;
    }
    return false;
}

void put_table(std::vector<uint8_t>& table, bool& overflow, std::span<const uint8_t> addresses) {
    overflow = addresses.size() > kTableBytes;
    table.assign(addresses.begin(),
                 addresses.begin() + (overflow ? 0 : static_cast<long>(addresses.size())));
}

bool is_table(const std::vector<uint8_t>& table) {
    return table.size() <= kTableBytes && table.size() % kMacSize == 0;
}

}  // namespace

NetFilter::NetFilter() {
    state_.unicast.reserve(kTableBytes);
    state_.multicast.reserve(kTableBytes);
}

void NetFilter::reset() {
    const NetFilterState fresh;
    state_.modes = fresh.modes;
    put_table(state_.unicast, state_.all_unicast, {});
    put_table(state_.multicast, state_.all_multicast, {});
    state_.vlans = fresh.vlans;
}

bool NetFilter::mode(unsigned command) const {
    return has_bit(state_.modes, command);
}

bool NetFilter::accepts(std::span<const uint8_t> start, const MacAddress& mac,
                        bool filter_vlans) const {
    if (mode(promisc)) return true;
    if (filter_vlans && start.size() >= kStart && be16_at(start, 12) == kVlanTag) {
        const unsigned vlan = be16_at(start, 14) & (kVlans - 1U);
        if (!has_bit(state_.vlans[vlan / 64], vlan % 64)) return false;
    }
    const auto to = start.first(kMacSize);
    if ((to[0] & 1) == 0) {
        if (mode(no_uni)) return false;
        return mode(all_uni) || state_.all_unicast ||
               std::equal(to.begin(), to.end(), mac.begin()) || in_table(state_.unicast, to);
    }
    if (std::all_of(to.begin(), to.end(), [](uint8_t b) { return b == 0xFF; }))
        return !mode(no_broadcast);
    if (mode(no_multi)) return false;
    return mode(all_multi) || state_.all_multicast || in_table(state_.multicast, to);
}

bool NetFilter::set_mode(uint8_t command, uint8_t value) {
    if (command > kNetRxNoBroadcast) return false;
    const auto changed = bit<uint8_t>(command);
    state_.modes =
        static_cast<uint8_t>(value != 0 ? state_.modes | changed : state_.modes & ~changed);
    return true;
}

bool NetFilter::set_vlan(uint16_t vlan, bool on) {
    if (vlan >= kVlans) return false;
    uint64_t& word = state_.vlans[vlan / 64];
    word = on ? word | bit(vlan % 64U) : word & ~bit(vlan % 64U);
    return true;
}

void NetFilter::set_tables(std::span<const uint8_t> unicast, std::span<const uint8_t> multicast) {
    put_table(state_.unicast, state_.all_unicast, unicast);
    put_table(state_.multicast, state_.all_multicast, multicast);
}

bool NetFilter::restore(const NetFilterState& state) {
    if ((state.modes & ~kModes) != 0 || !is_table(state.unicast) || !is_table(state.multicast))
        return false;
    set_tables(state.unicast, state.multicast);
    state_.modes = state.modes;
    state_.all_unicast = state.all_unicast;
    state_.all_multicast = state.all_multicast;
    state_.vlans = state.vlans;
    return true;
}

}  // namespace banyan
