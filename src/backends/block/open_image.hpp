// Opening a disk image: everything that can be wrong with one is said here, before a guest runs.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

#include "backends/block/disk_cache.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

// Which file it is, whatever its name.
struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const FileIdentity&) const = default;
};

struct OpenImage {
    UniqueFd fd;
    UniqueFd direct_fd;  // with DiskCache::none, if the host can
    uint64_t size = 0;   // bytes
    FileIdentity identity;
    DiskCache cache = DiskCache::writeback;
};

// A regular file or block device, locked against other writers as long as it is open. `what` is how
// messages begin.
Result<OpenImage> open_image(const std::string& what, const std::string& path, bool read_only,
                             DiskCache cache = DiskCache::writeback);

}  // namespace banyan
