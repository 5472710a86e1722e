// VHDX: the format of Hyper-V.
#pragma once

#include "backends/block/foreign/block_map_image.hpp"

namespace banyan {

// Fixed and dynamic images. Refused: differencing ones, and those whose log holds changes that were
// not brought to their places, for that would be to write.
Result<std::unique_ptr<DiskImage>> open_vhdx(std::unique_ptr<ImageFile> file,
                                             const std::string& name);

}  // namespace banyan
