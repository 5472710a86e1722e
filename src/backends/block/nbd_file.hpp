// NbdFile: a disk that a server of the Network Block Device protocol has, to be read.
#pragma once

#include <memory>
#include <string>

#include "backends/block/image/image_file.hpp"

namespace banyan {

// "nbd://HOST[:PORT]/EXPORT", "nbd+unix:///EXPORT?socket=PATH": nbd(7) of libnbd, and the NBD
// project's uri.md.
bool is_nbd_uri(const std::string& path);

// libnbd is loaded when the first is opened: it brings more memory with it than a small VM has.
Result<std::unique_ptr<ImageFile>> open_nbd(const std::string& uri);

}  // namespace banyan
