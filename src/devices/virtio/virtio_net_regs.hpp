// Numbers and structures of virtio 1.2, section 5.1 "Network Device".
#pragma once

#include <array>
#include <cstdint>

#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::virtio {

// 5.1.3 "Feature bits".
inline constexpr uint64_t kNetCsum = bit(0);
inline constexpr uint64_t kNetGuestCsum = bit(1);
inline constexpr uint64_t kNetCtrlGuestOffloads = bit(2);
inline constexpr uint64_t kNetMtu = bit(3);
inline constexpr uint64_t kNetMac = bit(5);
inline constexpr uint64_t kNetGuestTso4 = bit(7);
inline constexpr uint64_t kNetGuestTso6 = bit(8);
inline constexpr uint64_t kNetGuestEcn = bit(9);
inline constexpr uint64_t kNetHostTso4 = bit(11);
inline constexpr uint64_t kNetHostTso6 = bit(12);
inline constexpr uint64_t kNetHostEcn = bit(13);
inline constexpr uint64_t kNetMrgRxbuf = bit(15);
inline constexpr uint64_t kNetStatus = bit(16);
inline constexpr uint64_t kNetCtrlVq = bit(17);
inline constexpr uint64_t kNetCtrlRx = bit(18);
inline constexpr uint64_t kNetCtrlVlan = bit(19);
inline constexpr uint64_t kNetCtrlRxExtra = bit(20);
inline constexpr uint64_t kNetGuestAnnounce = bit(21);
inline constexpr uint64_t kNetMq = bit(22);
inline constexpr uint64_t kNetCtrlMacAddr = bit(23);
inline constexpr uint64_t kNetGuestUso4 = bit(54);
inline constexpr uint64_t kNetGuestUso6 = bit(55);
inline constexpr uint64_t kNetHostUso = bit(56);
// What CTRL_GUEST_OFFLOADS_SET may name: each by the number of its feature (5.1.6.5.6.1).
inline constexpr uint64_t kNetGuestOffloads =
    kNetGuestCsum | kNetGuestTso4 | kNetGuestTso6 | kNetGuestEcn | kNetGuestUso4 | kNetGuestUso6;

using MacAddress = std::array<uint8_t, 6>;

// 5.1.4 "Device configuration layout".
struct NetConfig {
    MacAddress mac{};
    le16 status;
    le16 max_virtqueue_pairs;
    le16 mtu;
};
static_assert(sizeof(NetConfig) == 12);
inline constexpr uint16_t kNetLinkUp = 1;
inline constexpr uint16_t kNetAnnounce = 2;

// 5.1.6 "Device Operation".
struct NetHeader {
    uint8_t flags = 0;
    uint8_t gso_type = 0;
    le16 hdr_len;
    le16 gso_size;
    le16 csum_start;
    le16 csum_offset;
    le16 num_buffers;
};
static_assert(sizeof(NetHeader) == 12);
inline constexpr uint8_t kNetNeedsCsum = 1;
inline constexpr uint8_t kNetDataValid = 2;
inline constexpr uint8_t kNetGsoNone = 0;
inline constexpr uint8_t kNetGsoTcp4 = 1;
inline constexpr uint8_t kNetGsoTcp6 = 4;
inline constexpr uint8_t kNetGsoUdp = 5;
inline constexpr uint8_t kNetGsoEcn = 0x80;

// 5.1.6.5 "Control Virtqueue".
struct NetControlHeader {
    uint8_t control_class = 0;
    uint8_t command = 0;
};
static_assert(sizeof(NetControlHeader) == 2);
inline constexpr uint8_t kNetOk = 0;
inline constexpr uint8_t kNetError = 1;
enum class NetControl : uint8_t {
    rx = 0,
    mac = 1,
    vlan = 2,
    announce = 3,
    mq = 4,
    guest_offloads = 5,
};
// Commands of NetControl::rx.
inline constexpr uint8_t kNetRxPromisc = 0;
inline constexpr uint8_t kNetRxNoBroadcast = 5;
// Those of the other classes.
inline constexpr uint8_t kNetMacTableSet = 0;
inline constexpr uint8_t kNetMacAddrSet = 1;
inline constexpr uint8_t kNetVlanAdd = 0;
inline constexpr uint8_t kNetVlanDel = 1;
inline constexpr uint8_t kNetAnnounceAck = 0;
inline constexpr uint8_t kNetMqPairsSet = 0;
inline constexpr uint8_t kNetGuestOffloadsSet = 0;

}  // namespace banyan::virtio
