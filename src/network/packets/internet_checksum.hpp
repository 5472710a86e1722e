// InternetChecksum: the one's complement sum of IP, TCP and UDP (RFC 1071).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "network/packets/headers.hpp"

namespace banyan {

class InternetChecksum {
public:
    // Pieces may be of any length, one after the other.
    InternetChecksum& add(std::span<const std::byte> bytes);
    InternetChecksum& add(uint16_t value);

    // The complement: what the field of a packet holds whose own sum this is without it.
    uint16_t value() const;

private:
    uint64_t sum_ = 0;  // of little-endian words: swapped at the end (RFC 1071, 2 (B))
    bool odd_ = false;
};

// The sum of a pseudo header (RFC 9293, 3.1; RFC 8200,
// 8.1); `length` is that of TCP or UDP with its data.
InternetChecksum pseudo_header_sum(const Ipv4Header& ip, uint32_t length);
InternetChecksum pseudo_header_sum(const Ipv6Header& ip, uint8_t protocol, uint32_t length);

// Of an IPv4 header whose field is 0, options included.
inline uint16_t ipv4_header_checksum(std::span<const std::byte> header) {
    return InternetChecksum().add(header).value();
}

}  // namespace banyan
