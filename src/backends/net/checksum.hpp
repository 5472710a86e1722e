// The checksum of the Internet protocols (RFC 1071), for frames that a guest left unfinished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vm/network.hpp"

namespace banyan {

// Writes the checksum that `info` asks for. False: its place is not in the frame.
bool finish_checksum(std::span<std::byte> frame, const NetFrameInfo& info);

}  // namespace banyan
