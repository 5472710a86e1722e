// Locks that keep an image from being used twice, also by QEMU.
#pragma once

#include <cstdint>
#include <string>

#include "support/result.hpp"

namespace banyan {

enum class ImageUse : uint8_t { read, write };

// Takes the locks for as long as the open file description lives. Fails with ErrorCode::busy when
// somebody else's use does not go with it. A writer has the image for itself; readers share it.
Result<void> lock_image(int fd, const std::string& what, ImageUse use);

}  // namespace banyan
