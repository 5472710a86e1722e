// The saved state of an ATA device beyond the registers that its controller shadows.
#pragma once

#include <cstdint>

#include "devices/scsi/scsi_unit_state.hpp"

namespace banyan {

struct AtaDeviceStateV1 {
    uint8_t multiple = 0;       // sectors a block of READ MULTIPLE; 0: not set
    uint8_t transfer_mode = 0;  // as SET FEATURES has it
    bool write_cache = true;
    bool look_ahead = true;
    uint8_t heads = 16;  // of the translation that is in force
    uint8_t sectors_per_track = 63;
    // The queued command that failed last (ACS-3, A.13).
    uint8_t failed_tag = 0;
    uint8_t failed_error = 0;  // 0: none
    uint64_t failed_lba = 0;
    ScsiUnitStateV1 unit;  // packet devices
};

template <class Visitor>
void visit_fields(Visitor& v, AtaDeviceStateV1& s) {
    auto& [multiple, transfer_mode, write_cache, look_ahead, heads, sectors_per_track, failed_tag,
           failed_error, failed_lba, unit] = s;
    v.field(1, multiple);
    v.field(2, transfer_mode);
    v.field(3, write_cache);
    v.field(4, look_ahead);
    v.field(5, heads);
    v.field(6, sectors_per_track);
    v.field(7, failed_tag);
    v.field(8, failed_error);
    v.field(9, failed_lba);
    v.field(10, unit);
}

}  // namespace banyan
