// Frames whose parts lie here and there: copied before they are looked at.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "vm/network.hpp"

namespace banyan {

// Copies the first bytes of the frame, as many as there are or fit; returns how many.
inline size_t copy_frame(const NetFrame& frame, std::span<std::byte> to) {
    size_t copied = 0;
    for (const std::span<const std::byte> part : frame.parts) {
        const size_t count = std::min(part.size(), to.size() - copied);
        if (count != 0) std::memcpy(to.data() + copied, part.data(), count);
        copied += count;
        if (copied == to.size()) break;
    }
    return copied;
}

// Whether what the information says lies in a frame of that size.
bool is_consistent(const NetFrameInfo& info, size_t frame_size);

}  // namespace banyan
