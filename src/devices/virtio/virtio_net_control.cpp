// The commands of the control queue (virtio 1.2, section 5.1.6.5).
#include <algorithm>
#include <bit>
#include <cstring>

#include "devices/virtio/virtio_net.hpp"

namespace banyan {

using namespace virtio;

namespace {

// What the data of a command start with; nothing when they are too short.
template <class T>
std::optional<T> first_of(std::span<const uint8_t> data) {
    if (data.size() < sizeof(T)) return std::nullopt;
    T value{};
    std::memcpy(&value, data.data(), sizeof(T));
    return value;
}

// A table of addresses (5.1.6.5.2): their number, then as many. Moves `data` behind it.
std::optional<std::span<const uint8_t>> take_table(std::span<const uint8_t>& data) {
    const auto entries = first_of<le32>(data);
    if (!entries) return std::nullopt;
    data = data.subspan(sizeof(le32));
    const uint64_t size = uint64_t{*entries} * sizeof(MacAddress);
    if (size > data.size()) return std::nullopt;
    const auto table = data.first(size);
    data = data.subspan(size);
    return table;
}

}  // namespace

// False: a command that there is not, was not negotiated, or cannot be carried out.
bool VirtioNet::control(std::span<const uint8_t> request) {
    const auto header = first_of<NetControlHeader>(request);
    if (!header) return false;
    const auto data = request.subspan(sizeof(NetControlHeader));
    switch (static_cast<NetControl>(header->control_class)) {
        case NetControl::rx: return control_receive(header->command, data);
        case NetControl::mac: return control_mac(header->command, data);
        case NetControl::vlan: return control_vlan(header->command, data);
        case NetControl::announce:
            if (!negotiated(kNetGuestAnnounce) || header->command != kNetAnnounceAck) return false;
            config_.status = static_cast<uint16_t>(config_.status & ~kNetAnnounce);
            return true;
        case NetControl::mq: return control_pairs(header->command, data);
        case NetControl::guest_offloads: return control_offloads(header->command, data);
    }
    return false;
}

bool VirtioNet::control_receive(uint8_t command, std::span<const uint8_t> data) {
    constexpr uint8_t kFirstExtra = 2;  // ALLUNI
    const auto value = first_of<uint8_t>(data);
    if (!value || !negotiated(command < kFirstExtra ? kNetCtrlRx : kNetCtrlRxExtra)) return false;
    return filter_.set_mode(command, *value);
}

bool VirtioNet::control_mac(uint8_t command, std::span<const uint8_t> data) {
    if (command == kNetMacTableSet) return negotiated(kNetCtrlRx) && set_mac_tables(data);
    if (command != kNetMacAddrSet || !negotiated(kNetCtrlMacAddr)) return false;
    const auto mac = first_of<MacAddress>(data);
    if (mac) config_.mac = *mac;
    return mac.has_value();
}

bool VirtioNet::set_mac_tables(std::span<const uint8_t> data) {
    const auto unicast = take_table(data);
    const auto multicast = unicast ? take_table(data) : std::nullopt;
    if (!multicast) return false;
    filter_.set_tables(*unicast, *multicast);
    return true;
}

bool VirtioNet::control_vlan(uint8_t command, std::span<const uint8_t> data) {
    const auto vlan = first_of<le16>(data);
    if (!vlan || !negotiated(kNetCtrlVlan)) return false;
    if (command != kNetVlanAdd && command != kNetVlanDel) return false;
    return filter_.set_vlan(*vlan, command == kNetVlanAdd);
}

bool VirtioNet::control_pairs(uint8_t command, std::span<const uint8_t> data) {
    const auto pairs = first_of<le16>(data);
    if (!pairs || !negotiated(kNetMq) || command != kNetMqPairsSet) return false;
    if (*pairs < 1 || *pairs > pair_count_) return false;
    pairs_ = *pairs;
    // What already waits in those that are used from now on.
    for (unsigned queue = 0; queue < 2U * pairs_; ++queue)
        continue_later(queue);
    return true;
}

bool VirtioNet::control_offloads(uint8_t command, std::span<const uint8_t> data) {
    const auto wanted = first_of<le64>(data);
    if (!wanted || !negotiated(kNetCtrlGuestOffloads) || command != kNetGuestOffloadsSet)
        return false;
    // 5.1.6.5.6.2: only what was negotiated.
    if ((*wanted & ~(driver_features() & kNetGuestOffloads)) != 0) return false;
    offloads_set_ = *wanted;
    tell_offloads();
    return true;
}

}  // namespace banyan
