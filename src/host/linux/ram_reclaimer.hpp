// RamReclaimer: gives pages of a guest's RAM back to the host.
#pragma once

#include "host/linux/guest_ram.hpp"
#include "vm/guest_memory.hpp"
#include "vm/memory_reclaimer.hpp"

namespace banyan {

class RamReclaimer final : public MemoryReclaimer {
public:
    // Both outlive it. Regions of `memory` that do not lie in `ram` are left alone.
    RamReclaimer(GuestMemory& memory, GuestRam& ram) : memory_(memory), ram_(ram) {}

    bool discard(Gpa start, uint64_t length) override;

private:
    GuestMemory& memory_;
    GuestRam& ram_;
};

}  // namespace banyan
