// What a network card looks like to the guest.
#pragma once

#include <cstdint>

namespace banyan {

// e1000e: Intel's 82574L, for systems without virtio drivers.
enum class NetModel : uint8_t { virtio, e1000e };

}  // namespace banyan
