// The saved state of a SCSI logical unit, disk or CD-ROM. Transports keep it within their own.
#pragma once

#include <cstdint>

namespace banyan {

struct ScsiUnitStateV1 {
    // Of the last command that failed, for REQUEST SENSE.
    uint8_t sense_key = 0;
    uint8_t sense_asc = 0;
    uint8_t sense_ascq = 0;
    // To be reported by the next command that reports one.
    uint8_t attention_asc = 0;
    uint8_t attention_ascq = 0;
    bool stopped = false;
    bool write_cache = true;  // disks
    bool prevented = false;   // CD-ROM drives: removal
    bool tray_open = false;
    uint8_t media_event = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, ScsiUnitStateV1& s) {
    auto& [sense_key, sense_asc, sense_ascq, attention_asc, attention_ascq, stopped, write_cache,
           prevented, tray_open, media_event] = s;
    v.field(1, sense_key);
    v.field(2, sense_asc);
    v.field(3, sense_ascq);
    v.field(4, attention_asc);
    v.field(5, attention_ascq);
    v.field(6, stopped);
    v.field(7, write_cache);
    v.field(8, prevented);
    v.field(9, tray_open);
    v.field(10, media_event);
}

}  // namespace banyan
