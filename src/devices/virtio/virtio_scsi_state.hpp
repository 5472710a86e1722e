// The saved state of the SCSI host device, beside what all virtio devices share.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "devices/scsi/scsi_unit_state.hpp"

namespace banyan {

struct VirtioScsiStateV1 {
    static constexpr std::string_view kKind = "virtio-scsi";
    static constexpr uint32_t kVersion = 1;
    uint32_t sense_size = 0;
    uint32_t cdb_size = 0;
    std::vector<ScsiUnitStateV1> units;
};

template <class Visitor>
void visit_fields(Visitor& v, VirtioScsiStateV1& s) {
    auto& [sense_size, cdb_size, units] = s;
    v.field(1, sense_size);
    v.field(2, cdb_size);
    v.field(3, units);
}

}  // namespace banyan
