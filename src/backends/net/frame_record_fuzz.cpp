// A stream of frames from a process that may have been taken over, in two pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backends/net/frame_record_reader.hpp"
#include "support/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    if (size == 0) return 0;
    const std::span<const std::byte> bytes = std::as_bytes(std::span(data + 1, size - 1));
    const size_t first = std::min<size_t>(data[0], bytes.size());
    FrameRecordReader reader;
    size_t taken = 0;
    const auto take = [&](const FrameRecordHeader& header, std::span<const std::byte> frame) {
        BANYAN_ASSERT(frame.size() == header.size && frame.size() <= kLargestNetFrame);
        taken += sizeof(header) + frame.size();
    };
    if (reader.feed(bytes.first(first), take)) (void)reader.feed(bytes.subspan(first), take);
    BANYAN_ASSERT(taken <= bytes.size());
    return 0;
}
