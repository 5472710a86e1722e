// Frames for tests, and a second opinion on their checksums.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "network/packets/headers.hpp"
#include "support/object_bytes.hpp"
#include "vm/network.hpp"

namespace banyan {

using FrameBytes = std::vector<std::byte>;

inline MacAddress test_mac(uint8_t last) {
    return {{0x52, 0x54, 0x00, 0x00, 0x00, last}};
}

inline FrameBytes ethernet_frame(MacAddress to, MacAddress from, uint16_t type,
                                 std::span<const std::byte> payload = {}) {
    FrameBytes frame;
    append_object(frame, EthernetHeader{to, from, type});
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
}

inline FrameBytes tagged_frame(MacAddress to, MacAddress from, uint16_t vlan,
                               std::span<const std::byte> payload = {}) {
    FrameBytes inner;
    append_object(inner, be16(vlan));
    append_object(inner, be16(uint16_t{0x88B5}));  // IEEE 802, 9.2.4: for experiments
    inner.insert(inner.end(), payload.begin(), payload.end());
    return ethernet_frame(to, from, ethertype::kVlan, inner);
}

inline FrameBytes arp_frame(MacAddress from, ArpPacket arp) {
    arp.hardware = uint16_t{1};
    arp.protocol = ethertype::kIpv4;
    arp.hardware_size = 6;
    arp.protocol_size = 4;
    return ethernet_frame(kBroadcastMac, from, ethertype::kArp, bytes_of(arp));
}

// What a payload of `size` bytes has at each place.
inline FrameBytes counting_bytes(size_t size) {
    FrameBytes bytes(size);
    for (size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
    return bytes;
}

// The sum of RFC 1071 as it is written there: 0xFFFF over what holds its own checksum.
inline uint16_t plain_sum(std::span<const std::byte> bytes, uint32_t sum = 0) {
    for (size_t i = 0; i < bytes.size(); ++i) {
        const auto byte = std::to_integer<uint32_t>(bytes[i]);
        sum += i % 2 == 0 ? byte << 8 : byte;
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    return static_cast<uint16_t>(sum);
}

struct Ipv4Packet {
    MacAddress to = kBroadcastMac;
    MacAddress from = test_mac(1);
    uint32_t source = 0x0A000001;
    uint32_t destination = 0x0A000002;
    uint8_t protocol = ip_protocol::kUdp;
};

// With the right header checksum; `transport` is TCP or UDP with its header.
inline FrameBytes ipv4_frame(const Ipv4Packet& p, std::span<const std::byte> transport) {
    Ipv4Header ip;
    ip.total_length = static_cast<uint16_t>(sizeof(Ipv4Header) + transport.size());
    ip.identification = uint16_t{0x1234};
    ip.protocol = p.protocol;
    ip.source = p.source;
    ip.destination = p.destination;
    ip.checksum = static_cast<uint16_t>(~plain_sum(bytes_of(ip)));
    FrameBytes payload = bytes_of(ip);
    payload.insert(payload.end(), transport.begin(), transport.end());
    return ethernet_frame(p.to, p.from, ethertype::kIpv4, payload);
}

inline FrameBytes udp_frame(const Ipv4Packet& p, uint16_t from_port, uint16_t to_port,
                            std::span<const std::byte> data) {
    const auto length = static_cast<uint16_t>(sizeof(UdpHeader) + data.size());
    FrameBytes udp = bytes_of(UdpHeader{from_port, to_port, length, uint16_t{0}});
    udp.insert(udp.end(), data.begin(), data.end());
    return ipv4_frame(p, udp);
}

inline FrameBytes ipv6_frame(uint8_t next_header, std::span<const std::byte> transport) {
    Ipv6Header ip{};
    ip.version_class_flow = uint32_t{6} << 28;
    ip.payload_length = static_cast<uint16_t>(transport.size());
    ip.next_header = next_header;
    ip.hop_limit = 64;
    ip.source.fill(std::byte{0x11});
    ip.destination.fill(std::byte{0x22});
    FrameBytes payload = bytes_of(ip);
    payload.insert(payload.end(), transport.begin(), transport.end());
    return ethernet_frame(test_mac(2), test_mac(1), ethertype::kIpv6, payload);
}

// The sum over pseudo header and transport of a frame without tags: 0xFFFF if its checksum is
// right.
inline uint16_t transport_sum(std::span<const std::byte> frame) {
    constexpr size_t kNetwork = sizeof(EthernetHeader);
    const auto ethernet = *header_at<EthernetHeader>(frame, 0);
    if (ethernet.type == ethertype::kIpv4) {
        const auto ip = *header_at<Ipv4Header>(frame, kNetwork);
        const auto transport = frame.subspan(kNetwork + ip.size());
        uint32_t sum = ip.protocol + static_cast<uint32_t>(transport.size());
        sum = plain_sum(frame.subspan(kNetwork + 12, 8), sum);
        return plain_sum(transport, sum);
    }
    const auto ip = *header_at<Ipv6Header>(frame, kNetwork);
    const auto transport = frame.subspan(kNetwork + sizeof(Ipv6Header));
    uint32_t sum = ip.next_header + static_cast<uint32_t>(transport.size());
    sum = plain_sum(frame.subspan(kNetwork + 8, 32), sum);
    return plain_sum(transport, sum);
}

// A frame in one piece; `bytes` must stay.
class WholeFrame {
public:
    explicit WholeFrame(std::span<const std::byte> bytes, NetFrameInfo info = {})
        : part_(bytes), info_(info) {}
    NetFrame get() const { return {std::span(&part_, 1), part_.size(), info_}; }

private:
    std::span<const std::byte> part_;
    NetFrameInfo info_;
};

inline FrameBytes whole(const NetFrame& frame) {
    FrameBytes bytes;
    for (const auto part : frame.parts)
        bytes.insert(bytes.end(), part.begin(), part.end());
    return bytes;
}

}  // namespace banyan
