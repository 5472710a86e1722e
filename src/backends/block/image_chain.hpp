// Opening disk images by name: their formats, and the files that they stand on.
//
// A format is never guessed where a guest could have written the answer
// (docs/decisions/0014-image-formats.md).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backends/block/image/qcow2_image.hpp"
#include "backends/block/image_format.hpp"
#include "backends/block/open_image.hpp"

namespace banyan {

struct ImageOptions {
    std::string path = {};
    std::optional<ImageFormat> format = {};  // none: by what the file holds, as far as that is safe
    bool read_only = false;
    DiskCache cache = DiskCache::writeback;
};

struct OpenedImage {
    std::unique_ptr<DiskImage> disk;
    ImageFormat format = ImageFormat::raw;
    bool guessed = false;
};

// With all files that it stands on.
Result<OpenedImage> open_image_chain(const ImageOptions& options);

// A qcow2 image by itself: what it stands on is not opened, so that its disk must not be read.
Result<std::unique_ptr<Qcow2Image>> open_qcow2_alone(const std::string& path, bool read_only);

// By the name or the first bytes of a file.
Result<ImageFormat> find_format(const std::string& path);

// Where a backing file is that an image at `path` names. Fails on names that are not of files.
Result<std::string> find_backing_path(const std::string& path, const std::string& backing_name);

}  // namespace banyan
