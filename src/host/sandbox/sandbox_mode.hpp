// How a VM's process is confined.
#pragma once

#include <cstdint>

namespace banyan {

enum class SandboxMode : uint8_t {
    off,
    on,
    log,  // nothing is refused; the kernel's log says what would have been
};

}  // namespace banyan
