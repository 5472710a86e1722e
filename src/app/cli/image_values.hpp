// Values that several tasks of `banyan image` take.
#pragma once

#include <optional>
#include <string>

#include "backends/block/image_format.hpp"
#include "support/result.hpp"

namespace banyan {

// Of a new image: as asked for, else raw if its name ends in .raw or .img, else qcow2.
ImageFormat format_for(const std::string& path, std::optional<ImageFormat> wanted);

// Fails when it is no power of two from 512 to 2M.
Result<unsigned> cluster_bits_of(uint64_t cluster_size);

Result<void> check_disk_size(uint64_t size);

// With a unit, when that is exact: "1G (1073741824 bytes)".
std::string size_text(uint64_t bytes);

}  // namespace banyan
