#include "backends/net/checksum.hpp"

#include <bit>
#include <cstring>

#include "support/be.hpp"

namespace banyan {

// In the order of memory, because the sum of swapped words is the swapped sum (RFC 1071, section
// 2 (B)).
uint16_t internet_sum(std::span<const std::byte> bytes) {
    uint64_t sum = 0;
    while (bytes.size() >= 4) {
        uint32_t word = 0;
        std::memcpy(&word, bytes.data(), sizeof(word));
        sum += word;
        bytes = bytes.subspan(4);
    }
    if (!bytes.empty()) {
        uint32_t last = 0;
        std::memcpy(&last, bytes.data(), bytes.size());
        sum += last;
    }
    while (sum > 0xFFFF)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return swap_bytes(static_cast<uint16_t>(sum));
}

// The field holds the sum of the pseudo header, so it is summed up as any other word.
bool finish_checksum(std::span<std::byte> frame, const NetFrameInfo& info) {
    const size_t start = info.checksum_start;
    const size_t field = start + info.checksum_offset;
    if (field + sizeof(be16) > frame.size()) return false;
    auto value = static_cast<uint16_t>(~internet_sum(frame.subspan(start)));
    // RFC 768: to UDP, 0 means none; all ones is the same sum.
    if (value == 0) value = 0xFFFF;
    const be16 checksum = value;
    std::memcpy(frame.data() + field, &checksum, sizeof(checksum));
    return true;
}

}  // namespace banyan
