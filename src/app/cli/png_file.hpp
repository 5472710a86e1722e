// A picture as a PNG file.
#pragma once

#include <string>

#include "support/result.hpp"
#include "vm/display.hpp"

namespace banyan {

// Replaces what has that name.
// For a process that may load no programs any more when the first picture is written.
void load_png_library();

Result<void> write_png(const DisplayFrame& frame, const std::string& path);

}  // namespace banyan
