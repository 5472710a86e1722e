// Opening a disk image: everything that can be wrong with one is said here, before a guest runs.
#pragma once

#include <cstdint>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

struct OpenImage {
    UniqueFd fd;
    uint64_t size = 0;  // bytes, whole sectors
};

// A regular file or block device, locked against other writers as long as it is open.
Result<OpenImage> open_image(const std::string& path, bool read_only);

}  // namespace banyan
