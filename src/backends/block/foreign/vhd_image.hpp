// VHD: the format of Virtual PC and older Hyper-V, which QEMU calls vpc.
#pragma once

#include "backends/block/foreign/block_map_image.hpp"

namespace banyan {

// Fixed and dynamic images. Refused: differencing ones.
Result<std::unique_ptr<DiskImage>> open_vhd(std::unique_ptr<ImageFile> file,
                                            const std::string& name);

}  // namespace banyan
