// The saved state of one virtqueue.
#pragma once

#include <cstdint>

namespace banyan {

struct VirtqueueStateV1 {
    uint16_t size = 0;
    bool enabled = false;
    uint64_t descriptors = 0;
    uint64_t available = 0;
    uint64_t used = 0;
    uint16_t next_available = 0;
    uint16_t next_used = 0;
    uint16_t signalled_used = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, VirtqueueStateV1& s) {
    auto& [size, enabled, descriptors, available, used, next_available, next_used, signalled_used] =
        s;
    v.field(1, size);
    v.field(2, enabled);
    v.field(3, descriptors);
    v.field(4, available);
    v.field(5, used);
    v.field(6, next_available);
    v.field(7, next_used);
    v.field(8, signalled_used);
}

}  // namespace banyan
