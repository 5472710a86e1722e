#include "backends/net/frame_guard.hpp"

#include <algorithm>
#include <cstdint>

#include "vm/network.hpp"

namespace banyan {

namespace {

constexpr size_t kTypeAt = 12;
constexpr size_t kIp4DestinationAt = kEthernetHeaderSize + 16;  // RFC 791, section 3.1
constexpr size_t kIp6DestinationAt = kEthernetHeaderSize + 24;  // RFC 8200, section 3

uint8_t byte_at(std::span<const std::byte> bytes, size_t at) {
    return std::to_integer<uint8_t>(bytes[at]);
}

// RFC 1122, section 3.2.1.3: 0.0.0.0/8 is "this host", 127.0.0.0/8 loopback.
bool is_host_ip4(std::span<const std::byte> address) {
    const uint8_t net = byte_at(address, 0);
    return net == 0 || net == 127;
}

// RFC 4291, section 2.5: :: and ::1, and IPv4 addresses in IPv6 clothes.
bool is_host_ip6(std::span<const std::byte> address) {
    const auto zeroes = [&](size_t count) {
        return std::all_of(address.begin(), address.begin() + static_cast<long>(count),
                           [](std::byte b) { return b == std::byte{0}; });
    };
    if (zeroes(12)) return true;
    return zeroes(10) && byte_at(address, 10) == 0xFF && byte_at(address, 11) == 0xFF;
}

}  // namespace

bool is_to_this_host(std::span<const std::byte> frame) {
    if (frame.size() < kEthernetHeaderSize) return false;
    const unsigned type = byte_at(frame, kTypeAt) * 256U + byte_at(frame, kTypeAt + 1);
    if (type == 0x0800)
        return frame.size() >= kIp4DestinationAt + 4 &&
               is_host_ip4(frame.subspan(kIp4DestinationAt, 4));
    if (type == 0x86DD)
        return frame.size() >= kIp6DestinationAt + 16 &&
               is_host_ip6(frame.subspan(kIp6DestinationAt, 16));
    return false;
}

}  // namespace banyan
