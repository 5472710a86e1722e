// A stream that comes in any pieces and says any lengths.
#include <cstdlib>
#include <cstring>

#include "network/port/stream_framing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    StreamUnframer unframer;
    size_t taken = 0;
    for (size_t at = 0; at < size;) {
        const size_t wanted = 1 + data[at] % 64;
        const auto room = unframer.room();
        if (room.empty()) std::abort();
        const size_t count = std::min({wanted, size - at, room.size()});
        std::memcpy(room.data(), data + at, count);
        at += count;
        const bool ok = unframer.received(count, [&](std::span<const std::byte> frame) {
            if (frame.size() > kLargestNetFrame) std::abort();
            taken += frame.size() + sizeof(StreamLength);
        });
        if (!ok) return 0;
        if (taken > at) std::abort();
    }
    return 0;
}
