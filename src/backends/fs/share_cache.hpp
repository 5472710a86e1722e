// How long a guest believes what it has seen of a shared directory.
#pragma once

#include <cstdint>

namespace banyan {

enum class ShareCache : uint8_t {
    automatic,  // names for a second, files not at all: the host may change them
    writeback,  // for ever, and it writes when it likes: nobody else changes files
};

}  // namespace banyan
