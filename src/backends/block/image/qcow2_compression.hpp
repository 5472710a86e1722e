// The data of compressed clusters: deflate without a header, or zstd ("Additional fields",
// compression_type).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "backends/block/image/qcow2_regs.hpp"

namespace banyan {

// Fills `cluster`, or returns false. Bytes behind the data are ignored.
bool decompress_cluster(uint8_t type, std::span<const std::byte> data,
                        std::span<std::byte> cluster);

// By deflate. Nothing when it would not become smaller.
std::optional<std::vector<std::byte>> compress_cluster(std::span<const std::byte> cluster);

}  // namespace banyan
