#include "network/packets/frame_bytes.hpp"

namespace banyan {

// virtio 1.2, 5.1.6.2: what is to be segmented also lacks its checksum.
bool is_consistent(const NetFrameInfo& info, size_t frame_size) {
    constexpr size_t kField = 2;
    if (info.segmentation != NetFrameInfo::Segmentation::none &&
        (!info.needs_checksum || info.segment_size == 0))
        return false;
    if (!info.needs_checksum) return true;
    return info.checksum_start >= kEthernetHeaderSize &&
           size_t{info.checksum_start} + info.checksum_offset + kField <= frame_size;
}

}  // namespace banyan
