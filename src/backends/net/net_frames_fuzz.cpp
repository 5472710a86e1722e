// Frames of a hostile guest, as the NAT looks at them before its library does.
#include <cstdint>
#include <vector>

#include "backends/net/checksum.hpp"
#include "backends/net/frame_guard.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    if (size < 4) return 0;
    const NetFrameInfo info{.needs_checksum = true,
                            .checksum_start = static_cast<uint16_t>(data[0] << 8 | data[1]),
                            .checksum_offset = static_cast<uint16_t>(data[2] << 8 | data[3])};
    std::vector<uint8_t> frame(data + 4, data + size);
    const auto bytes = std::as_writable_bytes(std::span(frame));
    (void)is_to_this_host(bytes);
    (void)finish_checksum(bytes, info);
    return 0;
}
