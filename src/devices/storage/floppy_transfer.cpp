// Commands that move data (82077AA data sheet, section 5.2 "Data transfer commands").
#include <algorithm>

#include "devices/storage/floppy_controller.hpp"

namespace banyan {

using namespace fdc;

namespace {

constexpr uint64_t kRetryNs = 1'000'000;  // until a masked DMA channel is looked at again
constexpr uint16_t kIdLength = 4;         // of FORMAT: cylinder, head, sector, size

}  // namespace

FloppyController::Work FloppyController::work() const {
    switch (command()) {
        case Command::write_data:
        case Command::write_deleted: return Work::write;
        case Command::verify: return Work::verify;
        case Command::format_track: return Work::format;
        default: return Work::read;
    }
}

// A disk's marks are seen only at its own data rate.
bool FloppyController::readable(const FloppyDrive& drive) const {
    return drive.geometry().rate == state_.rate;
}

// Bytes: command, head and drive, C, H, R, N, EOT, GPL, DTL. READ TRACK begins behind the index
// hole.
void FloppyController::start_transfer() {
    state_.cylinder = code(2);
    state_.head = static_cast<uint8_t>(code(1) >> 2 & 1);
    state_.sector = command() == Command::read_track ? 1 : code(4);
    state_.end_of_track = code(6);
    state_.terminal_count = false;
    const bool counted = work() == Work::verify && (code(1) & kEnableCount) != 0;
    state_.left = counted ? code(8) : 0;
    FloppyDrive* found = drive();
    if (found == nullptr || !readable(*found))
        return finish_transfer(st0::kAbnormal, st1::kMissingAddressMark);
    if ((state_.configure[0] & kImpliedSeek) != 0) {
        found->seek(state_.cylinder);
        state_.drives[drive_number()].present_cylinder = state_.cylinder;
    }
    if (work() == Work::write && found->write_protected())
        return finish_transfer(st0::kAbnormal, st1::kNotWritable);
    next_sector();
}

// Bytes: command, head and drive, N, SC, GPL, filler. The host gives the ID of each sector.
void FloppyController::start_format() {
    state_.cylinder = 0;
    state_.head = static_cast<uint8_t>(code(1) >> 2 & 1);
    state_.sector = 0;
    state_.end_of_track = code(3);
    state_.left = code(3);
    state_.terminal_count = false;
    FloppyDrive* found = drive();
    if (found == nullptr) return finish_transfer(st0::kAbnormal, st1::kMissingAddressMark);
    if (found->write_protected()) return finish_transfer(st0::kAbnormal, st1::kNotWritable);
    if (state_.left == 0) return finish_transfer(0);
    host_transfer();
}

// False when the command has ended, because the track has no such ID.
bool FloppyController::find_sector(FloppyDrive& drive, uint64_t& offset) {
    const uint8_t wanted_head = state_.head;
    const auto found = drive.offset_of(wanted_head, state_.sector);
    const bool first_head = wanted_head == (code(1) >> 2 & 1);
    if (state_.cylinder != drive.state().cylinder) {
        finish_transfer(st0::kAbnormal, st1::kNoData, st2::kWrongCylinder);
        return false;
    }
    if (!found || code(5) != kSectorSizeCode || (first_head && code(3) != wanted_head)) {
        finish_transfer(st0::kAbnormal, st1::kNoData);
        return false;
    }
    offset = *found;
    return true;
}

void FloppyController::next_sector() {
    FloppyDrive& found = *drive();
    uint64_t offset = 0;
    if (!find_sector(found, offset)) return;
    // Images have no deleted data: with SK such a command passes over the first sector that it
    // finds, and ends there.
    if (command() == Command::read_deleted && (code(0) & kSkip) != 0)
        return finish_transfer(0, 0, st2::kControlMark);
    if (work() == Work::write) return host_transfer();
    submit(BlockRequest::Kind::read, found, offset);
}

void FloppyController::submit(BlockRequest::Kind kind, FloppyDrive& drive, uint64_t offset) {
    state_.phase = Phase::disk;
    buffer_span_ = state_.buffer;
    busy_ = &drive.disk();
    busy_->submit({.kind = kind,
                   .offset = offset,
                   .length = FloppyDrive::kSector,
                   .buffers = std::span(&buffer_span_, 1),
                   .cookie = 0},
                  *this);
}

void FloppyController::on_block_complete(uint64_t /*cookie*/, BlockStatus status) {
    busy_ = nullptr;
    if (status != BlockStatus::ok)
        return finish_transfer(st0::kAbnormal, st1::kDataError, st2::kDataError);
    if (work() == Work::read) return host_transfer();
    sector_done();
}

// A buffer is to be filled by the host, or to be taken.
void FloppyController::host_transfer() {
    state_.phase = work() == Work::read ? Phase::to_host : Phase::from_host;
    state_.at = 0;
    state_.length = work() == Work::format ? kIdLength : FloppyDrive::kSector;
    if (!dma_mode()) return interrupt(true);
    if (!moving_) move_by_dma();
}

// For as many sectors as the disk answers at once.
void FloppyController::move_by_dma() {
    moving_ = true;
    while (state_.phase == Phase::to_host || state_.phase == Phase::from_host) {
        const auto part = std::span(state_.buffer).subspan(state_.at, state_.length - state_.at);
        DmaMoved moved;
        if ((state_.output & dor::kDmaGate) != 0) {
            moved = state_.phase == Phase::to_host ? dma_.from_device(part) : dma_.to_device(part);
        }
        state_.at = static_cast<uint16_t>(state_.at + moved.bytes);
        state_.terminal_count = moved.terminal_count;
        if (state_.at != state_.length && !moved.terminal_count) {
            arm_timer(kRetryNs);
            break;
        }
        buffer_done();
    }
    moving_ = false;
}

// "The 82077AA ... fills the rest of the sector with zeroes" when a write ends within one.
void FloppyController::buffer_done() {
    interrupt(false);
    if (work() == Work::read) return sector_done();
    if (work() == Work::format) return format_sector();
    std::fill(state_.buffer.begin() + state_.at, state_.buffer.end(), std::byte{0});
    uint64_t offset = 0;
    FloppyDrive& found = *drive();
    if (find_sector(found, offset)) submit(BlockRequest::Kind::write, found, offset);
}

// An ID that the image's format has is filled; what else a guest puts on the track is lost.
void FloppyController::format_sector() {
    FloppyDrive& found = *drive();
    const auto id = [this](unsigned i) { return std::to_integer<uint8_t>(state_.buffer[i]); };
    if (state_.at == kIdLength) {
        state_.cylinder = id(0);
        state_.sector = id(2);
        const auto offset = found.offset_of(state_.head, id(2));
        const bool fits = id(0) == found.state().cylinder && id(1) == state_.head &&
                          id(3) == kSectorSizeCode && readable(found);
        if (offset && fits) {
            state_.buffer.fill(std::byte{code(5)});
            return submit(BlockRequest::Kind::write, found, *offset);
        }
    }
    sector_done();
}

void FloppyController::sector_done() {
    if (work() == Work::format) {
        --state_.left;
        if (state_.left == 0 || state_.terminal_count) return finish_transfer(0);
        return host_transfer();
    }
    step_sector();
}

// Section 6.2, table "Result phase": the sector that would come next. At the end of a track the
// command ends with EN, if TC did not come before.
void FloppyController::step_sector() {
    const bool last = state_.sector == state_.end_of_track;
    const bool other_head = last && (code(0) & kMultiTrack) != 0 && state_.head == 0 &&
                            command() != Command::read_track;
    if (other_head) {
        state_.head = 1;
    } else if (last) {
        ++state_.cylinder;
        if ((code(0) & kMultiTrack) != 0) state_.head = 0;
    }
    state_.sector = last ? 1 : static_cast<uint8_t>(state_.sector + 1);
    if (command() == Command::read_deleted) return finish_transfer(0, 0, st2::kControlMark);
    if (state_.terminal_count) return finish_transfer(0);
    const bool end = last && !other_head;
    if (work() == Work::verify && ((state_.left != 0 && --state_.left == 0) || end))
        return finish_transfer(0);
    if (end) return finish_transfer(st0::kAbnormal, st1::kEndOfCylinder);
    next_sector();
}

void FloppyController::finish_transfer(uint8_t st0, uint8_t st1, uint8_t st2) {
    const auto first = static_cast<uint8_t>(st0 | unsigned{state_.head} << 2 | drive_number());
    finish_command(
        {{first, st1, st2, state_.cylinder, state_.head, state_.sector, kSectorSizeCode}});
    interrupt(true);
}

}  // namespace banyan
