// Frames whose headers and information say what they like: what is emitted fits a receiver.
#include <cstdlib>

#include "network/offload/frame_finisher.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    constexpr size_t kInfo = 8;
    static FrameFinisher finisher;
    if (size < kInfo) return 0;
    const NetFrameInfo info{.needs_checksum = (data[0] & 1) != 0,
                            .checksum_start = static_cast<uint16_t>(data[1] | (data[2] & 3) << 8),
                            .checksum_offset = static_cast<uint16_t>(data[3] | (data[0] & 2) << 8),
                            .segmentation = static_cast<NetFrameInfo::Segmentation>(data[4] & 3),
                            .ecn = (data[4] & 4) != 0,
                            .segment_size = static_cast<uint16_t>(data[5] | data[6] << 8)};
    const NetOffloads taken{.checksum = (data[7] & 1) != 0, .tcp4 = (data[7] & 2) != 0};
    const auto bytes = std::as_bytes(std::span(data + kInfo, size - kInfo));
    size_t emitted = 0;
    const bool ok =
        finisher.finish({std::span(&bytes, 1), bytes.size(), info}, taken, [&](const NetFrame& f) {
            ++emitted;
            if (!FrameFinisher::takes(taken, f.info) || f.size > kLargestNetFrame) std::abort();
        });
    if (ok == (emitted == 0) || emitted > FrameFinisher::kMostSegments) std::abort();
    return 0;
}
