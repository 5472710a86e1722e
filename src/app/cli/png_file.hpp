// A picture as a PNG file.
#pragma once

#include <string>

#include "support/result.hpp"
#include "vm/display.hpp"

namespace banyan {

// Replaces what has that name.
Result<void> write_png(const DisplayFrame& frame, const std::string& path);

}  // namespace banyan
