#include "network/port/stream_framing.hpp"

#include <algorithm>

#include "network/packets/headers.hpp"

namespace banyan {

bool StreamUnframer::received(size_t count,
                              const std::function<void(std::span<const std::byte>)>& take) {
    held_ += count;
    size_t at = 0;
    while (const auto length = header_at<StreamLength>(std::span(buffer_).first(held_), at)) {
        if (*length > kLargestNetFrame) return false;
        if (held_ - at - sizeof(StreamLength) < *length) break;
        take(std::span<const std::byte>(buffer_).subspan(at + sizeof(StreamLength), *length));
        at += sizeof(StreamLength) + *length;
    }
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(at),
              buffer_.begin() + static_cast<std::ptrdiff_t>(held_), buffer_.begin());
    held_ -= at;
    return true;
}

}  // namespace banyan
