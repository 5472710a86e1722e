// Headers as they stand in frames.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "network/packets/addresses.hpp"
#include "support/be.hpp"

namespace banyan {

namespace ethertype {
inline constexpr uint16_t kIpv4 = 0x0800;
inline constexpr uint16_t kArp = 0x0806;
inline constexpr uint16_t kVlan = 0x8100;  // IEEE 802.1Q, 9.6: the C-tag's
inline constexpr uint16_t kIpv6 = 0x86DD;
}  // namespace ethertype

namespace ip_protocol {
inline constexpr uint8_t kIcmp = 1;
inline constexpr uint8_t kTcp = 6;
inline constexpr uint8_t kUdp = 17;
}  // namespace ip_protocol

struct EthernetHeader {
    MacAddress destination;
    MacAddress source;
    be16 type;
};
static_assert(sizeof(EthernetHeader) == 14);

// Between the source address and the type of a tagged frame (802.1Q, 9.3).
struct VlanTag {
    be16 type;     // ethertype::kVlan
    be16 control;  // priority in 15:13, the VLAN in 11:0
};
static_assert(sizeof(VlanTag) == 4);

struct ArpPacket {  // RFC 826, for Ethernet and IPv4
    be16 hardware;
    be16 protocol;
    uint8_t hardware_size = 0;
    uint8_t protocol_size = 0;
    be16 operation;
    MacAddress sender_mac;
    be32 sender_ip;
    MacAddress target_mac;
    be32 target_ip;
};
static_assert(sizeof(ArpPacket) == 28);

struct Ipv4Header {  // RFC 791
    uint8_t version_and_length = 0x45;
    uint8_t service = 0;
    be16 total_length;
    be16 identification;
    be16 fragment;
    uint8_t time_to_live = 64;
    uint8_t protocol = 0;
    be16 checksum;
    be32 source;
    be32 destination;

    size_t size() const { return size_t{version_and_length & 0xFU} * 4; }
    bool is_well_formed() const {
        return version_and_length >> 4 == 4 && size() >= sizeof(Ipv4Header);
    }
    bool is_first_fragment() const { return (fragment & 0x1FFF) == 0; }
    bool is_fragment() const { return (fragment & 0x3FFF) != 0; }
};
static_assert(sizeof(Ipv4Header) == 20);

struct Ipv6Header {  // RFC 8200
    be32 version_class_flow;
    be16 payload_length;
    uint8_t next_header = 0;
    uint8_t hop_limit = 0;
    std::array<std::byte, 16> source;
    std::array<std::byte, 16> destination;

    bool is_well_formed() const { return version_class_flow >> 28 == 6; }
};
static_assert(sizeof(Ipv6Header) == 40);

struct TcpHeader {  // RFC 9293
    be16 source;
    be16 destination;
    be32 sequence;
    be32 acknowledgment;
    uint8_t data_offset = 0x50;  // in words, in the upper half
    uint8_t flags = 0;
    be16 window;
    be16 checksum;
    be16 urgent;

    static constexpr uint8_t kFin = 0x01;
    static constexpr uint8_t kPsh = 0x08;
    static constexpr uint8_t kCwr = 0x80;

    size_t size() const { return size_t{data_offset & 0xF0U} >> 2; }
};
static_assert(sizeof(TcpHeader) == 20);

struct UdpHeader {  // RFC 768
    be16 source;
    be16 destination;
    be16 length;
    be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8);

struct IcmpHeader {  // RFC 792, echo
    uint8_t type = 0;
    uint8_t code = 0;
    be16 checksum;
    be16 identifier;
    be16 sequence;

    static constexpr uint8_t kEchoReply = 0;
    static constexpr uint8_t kEcho = 8;
};
static_assert(sizeof(IcmpHeader) == 8);

// A copy of the header at `offset`; nothing if the bytes end before it does.
template <class Header>
std::optional<Header> header_at(std::span<const std::byte> bytes, size_t offset) {
    static_assert(std::is_trivially_copyable_v<Header>);
    if (offset > bytes.size() || bytes.size() - offset < sizeof(Header)) return {};
    Header header;
    std::memcpy(&header, bytes.data() + offset, sizeof(Header));
    return header;
}

// Precondition: it fits.
template <class Header>
void put_header(std::span<std::byte> bytes, size_t offset, const Header& header) {
    static_assert(std::is_trivially_copyable_v<Header>);
    std::memcpy(bytes.data() + offset, &header, sizeof(Header));
}

}  // namespace banyan
