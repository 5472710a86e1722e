#include "network/switching/mac_table.hpp"

namespace banyan {

namespace {

constexpr unsigned kMacBits = 48;

uint64_t key_of(const MacAddress& mac, VlanId vlan) {
    uint64_t key = vlan;
    for (const uint8_t byte : mac.bytes)
        key = key << 8 | byte;
    return key;
}

MacTable::Entry entry_of(uint64_t key, SwitchPortId port) {
    MacTable::Entry entry{{}, static_cast<VlanId>(key >> kMacBits), port};
    for (size_t i = entry.mac.bytes.size(); i-- > 0; key >>= 8)
        entry.mac.bytes[i] = static_cast<uint8_t>(key);
    return entry;
}

}  // namespace

// The finalizer of MurmurHash3: vendors' prefixes and VLANs leave few bits that differ.
size_t MacTable::Hash::operator()(uint64_t key) const {
    key = (key ^ key >> 33) * 0xFF51AFD7ED558CCD;
    key = (key ^ key >> 33) * 0xC4CEB9FE1A85EC53;
    return key ^ key >> 33;
}

MacTable::MacTable(size_t ports) : of_port_(ports) {
    seen_.reserve(ports);
}

bool MacTable::learn(const MacAddress& mac, VlanId vlan, SwitchPortId port, uint64_t now_ns) {
    const uint64_t key = key_of(mac, vlan);
    const auto known = seen_.find(key);
    if (known != seen_.end() && known->second.port == port) {
        known->second.last_ns = now_ns;
        return true;
    }
    if (of_port_[port] == kMostOfPort) return false;
    ++of_port_[port];
    if (known != seen_.end()) {  // it moved
        --of_port_[known->second.port];
        known->second = {port, now_ns};
    } else {
        seen_.emplace(key, Seen{port, now_ns});
    }
    return true;
}

std::optional<SwitchPortId> MacTable::find(const MacAddress& mac, VlanId vlan) const {
    const auto known = seen_.find(key_of(mac, vlan));
    if (known == seen_.end()) return {};
    return known->second.port;
}

template <class Condition>
void MacTable::forget_if(Condition condition) {
    std::erase_if(seen_, [&](const auto& one) {
        if (!condition(one.second)) return false;
        --of_port_[one.second.port];
        return true;
    });
}

void MacTable::forget_port(SwitchPortId port) {
    forget_if([&](const Seen& seen) { return seen.port == port; });
}

void MacTable::forget_silent(uint64_t now_ns) {
    forget_if([&](const Seen& seen) { return now_ns - seen.last_ns >= kAgeingNs; });
}

std::vector<MacTable::Entry> MacTable::entries() const {
    std::vector<Entry> all;
    all.reserve(seen_.size());
    for (const auto& [key, seen] : seen_)
        all.push_back(entry_of(key, seen.port));
    return all;
}

}  // namespace banyan
