// MemoryReclaimer: takes memory back from a guest that does not need it for now (a balloon device,
// freed pages that it reports).
#pragma once

#include <cstdint>

#include "vm/address.hpp"

namespace banyan {

class MemoryReclaimer {
public:
    // The host may use these pages; the guest finds zeroes there. Whole pages: `start` and `length`
    // are multiples of kPageSize. False, and nothing happens, when they are not RAM of one region
    // of GuestMemory. From any thread, but not from within a WriteObserver.
    virtual bool discard(Gpa start, uint64_t length) = 0;

protected:
    ~MemoryReclaimer() = default;
};

}  // namespace banyan
