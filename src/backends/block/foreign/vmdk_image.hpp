// VMDK: the format of VMware, of which there are several kinds.
#pragma once

#include <functional>

#include "backends/block/foreign/block_map_image.hpp"

namespace banyan {

// Opens, to be read, the file that a descriptor names: a name without folders, of one beside it.
using OpenExtent = std::function<Result<std::unique_ptr<ImageFile>>(const std::string& name)>;

// In one file, monolithicSparse and streamOptimized; or a descriptor and files byte for byte,
// monolithicFlat and twoGbMaxExtentFlat. Refused: those that stand on another, and a descriptor
// with sparse files.
Result<std::unique_ptr<DiskImage>> open_vmdk(std::unique_ptr<ImageFile> file,
                                             const std::string& name,
                                             const OpenExtent& open_extent);

}  // namespace banyan
