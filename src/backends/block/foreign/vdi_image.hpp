// VDI: the format of VirtualBox.
#pragma once

#include "backends/block/foreign/block_map_image.hpp"

namespace banyan {

// Fixed and dynamic images. Refused: those that stand on another (differencing, snapshots).
Result<std::unique_ptr<DiskImage>> open_vdi(std::unique_ptr<ImageFile> file,
                                            const std::string& name);

}  // namespace banyan
