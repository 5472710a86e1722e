// Storage: what the memory that a Cpu is made in holds. Its tables are megabytes of zeroes, of
// which many a guest uses a few pages: where the memory is zero already, they are left as they are.
#pragma once

#include <cstdint>

namespace banyan::interp {

enum class Storage : uint8_t {
    any,
    zeroed,  // fresh from the host, or cleared
};

}  // namespace banyan::interp
