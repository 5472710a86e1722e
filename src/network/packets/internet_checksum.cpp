#include "network/packets/internet_checksum.hpp"

#include <cstring>

namespace banyan {

namespace {

constexpr uint64_t fold(uint64_t sum) {
    while (sum > 0xFFFF)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return sum;
}

// Words of 32 bits give the same sum, folded (RFC 1071, 2 (C)).
uint64_t sum_of(std::span<const std::byte> bytes) {
    uint64_t sum = 0;
    size_t at = 0;
    for (; at + sizeof(uint32_t) <= bytes.size(); at += sizeof(uint32_t)) {
        uint32_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof(word));
        sum += word;
    }
    uint32_t rest = 0;
    std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
    return fold(sum + rest);
}

}  // namespace

InternetChecksum& InternetChecksum::add(std::span<const std::byte> bytes) {
    if (bytes.empty()) return *this;
    const uint64_t sum = sum_of(bytes);
    // What begins at an odd place has its bytes in the other halves of their words.
    sum_ += odd_ ? fold(sum << 8) : sum;
    odd_ ^= bytes.size() % 2 != 0;
    return *this;
}

InternetChecksum& InternetChecksum::add(uint16_t value) {
    const be16 word = value;
    return add(std::as_bytes(std::span(&word, 1)));
}

uint16_t InternetChecksum::value() const {
    return static_cast<uint16_t>(~swap_bytes(static_cast<uint16_t>(fold(sum_))));
}

InternetChecksum pseudo_header_sum(const Ipv4Header& ip, uint32_t length) {
    InternetChecksum sum;
    sum.add(std::as_bytes(std::span(&ip.source, 1)));
    sum.add(std::as_bytes(std::span(&ip.destination, 1)));
    sum.add(ip.protocol).add(static_cast<uint16_t>(length));
    return sum;
}

InternetChecksum pseudo_header_sum(const Ipv6Header& ip, uint8_t protocol, uint32_t length) {
    InternetChecksum sum;
    sum.add(ip.source).add(ip.destination);
    sum.add(static_cast<uint16_t>(length >> 16)).add(static_cast<uint16_t>(length));
    sum.add(protocol);
    return sum;
}

}  // namespace banyan
