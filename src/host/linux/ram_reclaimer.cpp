#include "host/linux/ram_reclaimer.hpp"

#include "support/bits.hpp"

namespace banyan {

// Engines see the pages change as by a write: translated code goes, and a log of dirty pages has
// them. What maps them for the guest follows the host's page tables by itself: KVM is told by the
// kernel, and software looks up host addresses, which stay.
bool RamReclaimer::discard(Gpa start, uint64_t length) {
    if (!is_aligned(start.value, kPageSize) || !is_aligned(length, kPageSize)) return false;
    const auto bytes = memory_.writable_range(start, length);
    if (bytes.empty() || !ram_.discard(bytes)) return false;
    memory_.written(start, length);
    return true;
}

}  // namespace banyan
