#include "devices/virtio/virtio_net_flows.hpp"

#include <cstring>

namespace banyan {

namespace {

constexpr size_t kIpAt = 14;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;

// Both directions add up to the same.
uint32_t sum_of_words(std::span<const uint8_t> bytes) {
    uint32_t sum = 0;
    for (size_t at = 0; at + 4 <= bytes.size(); at += 4) {
        uint32_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof(word));
        sum += word;
    }
    return sum;
}

uint32_t sum_of_ports(std::span<const uint8_t> start, size_t at, uint8_t protocol) {
    if ((protocol != kTcp && protocol != kUdp) || at + 4 > start.size()) return 0;
    return uint32_t{start[at]} + start[at + 2] + 256U * (uint32_t{start[at + 1]} + start[at + 3]);
}

// RFC 791; of a fragment the ports are not looked at, because only the first has them.
uint32_t sum_of_ip4(std::span<const uint8_t> start) {
    if (start.size() < kIpAt + 20) return 0;
    const uint32_t sum = sum_of_words(start.subspan(kIpAt + 12, 8));
    const bool fragment = (start[kIpAt + 6] & 0x3F) != 0 || start[kIpAt + 7] != 0;
    const size_t header = size_t{4} * (start[kIpAt] & 0xFU);
    return fragment ? sum : sum + sum_of_ports(start, kIpAt + header, start[kIpAt + 9]);
}

uint32_t sum_of_ip6(std::span<const uint8_t> start) {
    if (start.size() < kIpAt + 40) return 0;
    return sum_of_words(start.subspan(kIpAt + 8, 32)) +
           sum_of_ports(start, kIpAt + 40, start[kIpAt + 6]);
}

}  // namespace

uint8_t NetFlows::hash(std::span<const uint8_t> start) {
    if (start.size() < kIpAt) return 0;
    const unsigned type = start[12] * 256U + start[13];
    const uint32_t sum = type == 0x0800   ? sum_of_ip4(start)
                         : type == 0x86DD ? sum_of_ip6(start)
                                          : 0;
    return static_cast<uint8_t>((sum * 0x9E3779B1U) >> 24);  // Knuth's multiplicative hash
}

}  // namespace banyan
