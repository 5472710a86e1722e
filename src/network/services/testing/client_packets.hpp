// What clients of a network's services send.
#pragma once

#include <string>

#include "network/packets/testing/packet_builder.hpp"
#include "network/services/dhcp_message.hpp"

namespace banyan {

struct DhcpClientMessage {
    DhcpType type = DhcpType::discover;
    MacAddress mac = test_mac(1);
    uint32_t client = 0;
    uint32_t requested = 0;
    uint32_t server = 0;
    std::string host_name = {};
    bool broadcast = false;
};

inline FrameBytes dhcp_message(const DhcpClientMessage& m) {
    FrameBytes bytes(240);
    const auto put = [&](size_t at, auto value) { put_header(bytes, at, value); };
    bytes[0] = bytes[1] = std::byte{1};
    bytes[2] = std::byte{6};
    put(4, be32(0xCAFE1234));
    put(10, be16(static_cast<uint16_t>(m.broadcast ? 0x8000 : 0)));
    put(12, be32(m.client));
    put(28, m.mac);
    put(236, be32(0x63825363));
    const auto option = [&](uint8_t code, std::span<const std::byte> value) {
        bytes.push_back(std::byte{code});
        bytes.push_back(static_cast<std::byte>(value.size()));
        bytes.insert(bytes.end(), value.begin(), value.end());
    };
    const auto type = static_cast<std::byte>(m.type);
    option(53, std::span(&type, 1));
    if (m.requested != 0) option(50, bytes_of(be32(m.requested)));
    if (m.server != 0) option(54, bytes_of(be32(m.server)));
    if (!m.host_name.empty()) option(12, std::as_bytes(std::span(m.host_name)));
    bytes.push_back(std::byte{255});
    return bytes;
}

inline FrameBytes dhcp_frame(const DhcpClientMessage& m) {
    return udp_frame({.from = m.mac, .source = m.client, .destination = 0xFFFFFFFF}, 68, 67,
                     dhcp_message(m));
}

// The value of an option in a server's message; empty: it is not there.
inline FrameBytes dhcp_option(std::span<const std::byte> message, uint8_t code) {
    for (size_t at = 240; at + 1 < message.size() && message[at] != std::byte{255};) {
        const auto length = std::to_integer<size_t>(message[at + 1]);
        if (message[at] == std::byte{code}) {
            const auto value = message.subspan(at + 2, length);
            return {value.begin(), value.end()};
        }
        at += 2 + length;
    }
    return {};
}

inline FrameBytes dns_query(const std::string& name, uint16_t type, uint16_t id = 0x1234) {
    FrameBytes query;
    for (const uint16_t field :
         {id, uint16_t{0x0100}, uint16_t{1}, uint16_t{0}, uint16_t{0}, uint16_t{0}})
        append_object(query, be16(field));
    for (size_t at = 0; at < name.size();) {
        const size_t dot = std::min(name.find('.', at), name.size());
        query.push_back(static_cast<std::byte>(dot - at));
        for (; at < dot; ++at)
            query.push_back(static_cast<std::byte>(name[at]));
        ++at;
    }
    query.push_back(std::byte{0});
    append_object(query, be16(type));
    append_object(query, be16(uint16_t{1}));
    return query;
}

}  // namespace banyan
