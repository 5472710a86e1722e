// The framing of frames on a stream socket: a length of 4 bytes, big-endian, before each, as QEMU
// (net/stream.c, net/socket.c) and passt speak it.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "support/be.hpp"
#include "vm/network.hpp"

namespace banyan {

using StreamLength = be32;

class StreamUnframer {
public:
    StreamUnframer() : buffer_(sizeof(StreamLength) + kLargestNetFrame) {}

    // Where to receive to; never empty.
    std::span<std::byte> room() { return std::span(buffer_).subspan(held_); }
    // `count` bytes of room() were filled: calls `take` for each frame that is complete; its bytes
    // are valid during the call. False: a length is beyond what a frame can have, and the stream
    // is lost.
    bool received(size_t count, const std::function<void(std::span<const std::byte>)>& take);

private:
    std::vector<std::byte> buffer_;
    size_t held_ = 0;
};

}  // namespace banyan
