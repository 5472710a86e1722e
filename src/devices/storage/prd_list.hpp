// PrdList: a table of physical region descriptors in guest memory, as a scatter list. Entries are
// copied one by one, as they are needed.
#pragma once

#include <cstdint>

#include "devices/scsi/plan_runner.hpp"
#include "support/bits.hpp"
#include "support/le.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

enum class PrdFormat : uint8_t {
    ahci,        // AHCI 1.3.1, 4.2.3.3: 16 bytes, as many as the command header says
    bus_master,  // Programming Interface for Bus Master IDE Controller 1.0, 1.2: 8 bytes, the last
                 // one marked
};

class PrdList final : public DmaSource {
public:
    // A table of a bus master does not cross 64 KiB (1.2).
    static constexpr uint32_t kMaxBusMasterEntries = 0x10000 / 8;

    PrdList(GuestMemory& memory, PrdFormat format) : memory_(memory), format_(format) {}

    void start(Gpa table, uint32_t entries) {
        at_ = table;
        left_ = entries;
        interrupt_ = false;
    }
    // An entry that was used asks for an interrupt (AHCI).
    bool wants_interrupt() const { return interrupt_; }
    // All that the table describes was used.
    bool used_up() const { return left_ == 0; }

    Next next(DmaSegment& segment) override {
        if (left_ == 0) return Next::end;
        return format_ == PrdFormat::ahci ? next_ahci(segment) : next_bus_master(segment);
    }

private:
    struct AhciEntry {
        le64 address;
        le32 reserved;
        le32 count;  // minus one; bit 31: interrupt on completion
    };
    struct BusMasterEntry {
        le32 address;
        le16 count;  // 0: 64 KiB
        le16 flags;  // bit 15: the last
    };

    Next next_ahci(DmaSegment& segment) {
        AhciEntry entry;
        if (!memory_.read_object(at_, entry)) return Next::broken;
        at_ = at_ + sizeof(entry);
        --left_;
        segment.gpa = Gpa{uint64_t{entry.address} & ~uint64_t{1}};
        segment.length = (bits(uint32_t{entry.count}, 21, 0) | 1U) + 1U;
        interrupt_ = interrupt_ || has_bit(uint32_t{entry.count}, 31);
        return Next::segment;
    }
    Next next_bus_master(DmaSegment& segment) {
        BusMasterEntry entry;
        if (!memory_.read_object(at_, entry)) return Next::broken;
        at_ = at_ + sizeof(entry);
        --left_;
        if (has_bit(uint16_t{entry.flags}, 15)) left_ = 0;
        segment.gpa = Gpa{uint64_t{entry.address} & ~uint64_t{1}};
        segment.length = entry.count & 0xfffeU;
        if (segment.length == 0) segment.length = 0x10000;
        return Next::segment;
    }

    GuestMemory& memory_;
    PrdFormat format_;
    Gpa at_;
    uint32_t left_ = 0;
    bool interrupt_ = false;
};

}  // namespace banyan
