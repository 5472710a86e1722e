// Whether a frame's information makes sense.
#pragma once

#include <cstddef>

#include "vm/network.hpp"

namespace banyan {

// Whether what the information says lies in a frame of that size.
bool is_consistent(const NetFrameInfo& info, size_t frame_size);

}  // namespace banyan
