// What a disk's writes go through, and what its flushes do.
#pragma once

#include <cstdint>

namespace banyan {

enum class DiskCache : uint8_t {
    writeback,  // the host's page cache; a flush brings all to the disk
    none,       // past the page cache (O_DIRECT); a flush as before, for the disk's own cache
    unsafe,     // as writeback, and flushes do nothing: a host that dies leaves anything
};

}  // namespace banyan
