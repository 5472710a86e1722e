// Where VNC clients connect.
#pragma once

#include <cstdint>
#include <string>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

struct VncListener {
    UniqueFd fd;        // does not block
    std::string place;  // "127.0.0.1:5900"
};

// At the first port of `first`..`last` that is free; port 0 lets the host choose.
Result<VncListener> listen_for_vnc(const std::string& host, uint16_t first, uint16_t last);

}  // namespace banyan
