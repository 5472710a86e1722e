// FloppyDrive: a drive of the floppy disk controller: its medium's layout, where the head stands,
// and the disk change line.
#pragma once

#include <cstdint>
#include <optional>

#include "vm/backend.hpp"

namespace banyan {

// How a PC's formats lie in an image: cylinder by cylinder, head by head.
struct FloppyGeometry {
    uint8_t cylinders = 0;
    uint8_t heads = 0;
    uint8_t sectors = 0;  // of 512 bytes, on a track
    uint8_t rate = 0;     // as DSR and CCR have it: 0 is 500 kbit/s, 1 300, 2 250, 3 1000
    uint8_t type = 0;     // of the drive, as byte 10h of the CMOS memory has it: 4 is 1.44M

    // The format whose images have this size, or nothing.
    static std::optional<FloppyGeometry> of_size(uint64_t bytes);
};

class FloppyDrive {
public:
    static constexpr unsigned kSector = 512;
    // Heads move a little further than formats go.
    static constexpr uint8_t kSpareCylinders = 3;

    // A drive with a disk, whose size is that of a format; its backend outlives the drive.
    void insert(BlockBackend& disk);

    bool present() const { return disk_ != nullptr; }
    BlockBackend& disk() const { return *disk_; }
    const FloppyGeometry& geometry() const { return geometry_; }
    bool write_protected() const { return disk_ != nullptr && disk_->read_only(); }

    // The guest-visible part.
    struct State {
        uint8_t cylinder = 0;  // under the head
        bool changed = true;   // DSKCHG: since then no step was made
    };
    const State& state() const { return state_; }
    // False: no such position.
    bool set_state(const State& state);
    void reset() { state_ = {}; }

    // Steps to a cylinder, as far as the head goes. A step with a disk in clears the change line.
    void seek(unsigned cylinder);

    // The byte of the image where a sector begins; nothing when the track has none of this number.
    std::optional<uint64_t> offset_of(unsigned head, unsigned sector) const;

private:
    BlockBackend* disk_ = nullptr;
    FloppyGeometry geometry_;
    State state_;
};

}  // namespace banyan
