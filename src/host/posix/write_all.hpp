// write_all: to a file that takes what it can.
#pragma once

#include <cstddef>
#include <span>
#include <unistd.h>

#include "host/posix/unique_fd.hpp"

namespace banyan {

// False: errno says why; some of the bytes may be written.
inline bool write_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            retry_interrupted([&] { return ::write(fd, bytes.data(), bytes.size()); });
        if (count <= 0) return false;
        bytes = bytes.subspan(static_cast<size_t>(count));
    }
    return true;
}

}  // namespace banyan
