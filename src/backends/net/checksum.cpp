#include "backends/net/checksum.hpp"

#include <cstring>

#include "network/packets/internet_checksum.hpp"
#include "support/be.hpp"

namespace banyan {

// The field holds the sum of the pseudo header, so it is summed up as any other word.
bool finish_checksum(std::span<std::byte> frame, const NetFrameInfo& info) {
    const size_t start = info.checksum_start;
    const size_t field = start + info.checksum_offset;
    if (field + sizeof(be16) > frame.size()) return false;
    uint16_t value = InternetChecksum().add(frame.subspan(start)).value();
    // RFC 768: to UDP, 0 means none; all ones is the same sum.
    if (value == 0) value = 0xFFFF;
    const be16 checksum = value;
    std::memcpy(frame.data() + field, &checksum, sizeof(checksum));
    return true;
}

}  // namespace banyan
