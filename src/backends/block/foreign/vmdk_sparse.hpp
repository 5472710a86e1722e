// VmdkSparse: a VMDK disk in one file, in grains, which may be compressed.
#pragma once

#include "backends/block/foreign/block_map_image.hpp"

namespace banyan {

// Null: the file does not begin as one.
Result<std::unique_ptr<DiskImage>> open_vmdk_sparse(std::unique_ptr<ImageFile>& file,
                                                    const std::string& name);

}  // namespace banyan
