// Commands that move no data (82077AA data sheet, section 5.2 "Control commands").
#include "devices/storage/floppy_controller.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace fdc;

namespace {

constexpr uint64_t kSeekNs = 3'000'000;  // a step
constexpr uint64_t kRotationNs = 200'000'000;

}  // namespace

// The codes of section 5.1: the upper three bits are options of a command, but for CONFIGURE's
// neighbours they do not matter.
Command FloppyController::command() const {
    return static_cast<Command>(code(0) & 0x1F);
}

unsigned FloppyController::command_length(uint8_t first) {
    switch (static_cast<Command>(first & 0x1F)) {
        case Command::read_track:
        case Command::write_data:
        case Command::read_data:
        case Command::write_deleted:
        case Command::read_deleted:
        case Command::verify: return 9;
        case Command::format_track: return 6;
        case Command::configure: return 4;
        case Command::specify:
        case Command::seek: return 3;
        case Command::sense_drive_status:
        case Command::recalibrate:
        case Command::read_id:
        case Command::perpendicular: return 2;
        case Command::sense_interrupt:
        case Command::dump_registers:
        case Command::version:
        case Command::lock: break;
    }
    return 1;
}

FloppyDrive* FloppyController::drive() {
    const unsigned number = drive_number();
    return number < kMaxDrives && drives_[number].present() ? &drives_[number] : nullptr;
}

void FloppyController::execute() {
    switch (command()) {
        case Command::read_track:
        case Command::write_data:
        case Command::read_data:
        case Command::write_deleted:
        case Command::read_deleted:
        case Command::verify: return start_transfer();
        case Command::format_track: return start_format();
        case Command::specify: return specify();
        case Command::sense_drive_status: return sense_drive_status();
        case Command::recalibrate: return recalibrate();
        case Command::sense_interrupt: return sense_interrupt();
        case Command::read_id: return read_id();
        case Command::dump_registers: return dump_registers();
        case Command::seek: return seek();
        case Command::version: return finish_command({{kVersion}});
        case Command::perpendicular: return perpendicular();
        case Command::configure: return configure();
        case Command::lock: {
            state_.locked = (code(0) & kLock) != 0;
            const uint8_t answer = state_.locked ? 0x10 : 0;
            return finish_command({{answer}});
        }
    }
    finish_command({{st0::kInvalid}});
}

// Without a result, the next command may come at once.
void FloppyController::finish_command(std::span<const uint8_t> result) {
    std::copy(result.begin(), result.end(), state_.result.begin());
    state_.result_length = static_cast<uint8_t>(result.size());
    state_.result_at = 0;
    state_.phase = result.empty() ? Phase::command : Phase::result;
    if (result.empty()) state_.command_length = 0;
}

void FloppyController::specify() {
    state_.specify = {code(1), code(2)};
    finish_command({});
}

void FloppyController::sense_drive_status() {
    auto value = static_cast<uint8_t>(st3::kAlwaysOne | (code(1) & 7U));
    if (FloppyDrive* found = drive(); found != nullptr) {
        if (found->state().cylinder == 0) value |= st3::kTrack0;
        if (found->write_protected()) value |= st3::kWriteProtected;
    }
    finish_command({{value}});
}

// "Sense interrupt status": after a seek or a reset, drive by drive; when there is nothing to tell
// it is an invalid command.
void FloppyController::sense_interrupt() {
    interrupt(false);
    for (DriveState& drive : state_.drives) {
        if (!drive.sense_waits) continue;
        drive.sense_waits = false;
        return finish_command({{drive.sense, drive.present_cylinder}});
    }
    finish_command({{st0::kInvalid}});
}

void FloppyController::tell_of_reset() {
    state_.reset_pending = false;
    for (unsigned i = 0; i < kSelectable; ++i) {
        state_.drives[i].sense = static_cast<uint8_t>(st0::kPollingChange | i);
        state_.drives[i].sense_waits = true;
    }
    interrupt(true);
}

void FloppyController::recalibrate() {
    start_seek(drive_number(), 0);
    finish_command({});
}

// A relative seek counts from the present cylinder. The register has 8 bits, the head a stop.
void FloppyController::seek() {
    const unsigned number = drive_number();
    unsigned wanted = code(2);
    if ((code(0) & kRelativeSeek) != 0) {
        const unsigned from = state_.drives[number].present_cylinder;
        wanted = (code(0) & kSeekInwards) != 0 ? from + wanted : from - wanted;
    }
    start_seek(number, wanted & 0xFFU);
    finish_command({});
}

// The head is there at once; the controller says so when a step's time has passed. A drive that is
// not there never shows track 0.
void FloppyController::start_seek(unsigned number, unsigned cylinder) {
    DriveState& seen = state_.drives[number];
    const bool there = number < kMaxDrives && drives_[number].present();
    seen.seeking = true;
    seen.sense_waits = false;
    seen.sense = static_cast<uint8_t>(st0::kSeekEnd | (code(1) & 7U));
    if (command() == Command::recalibrate && !there)
        seen.sense |= st0::kAbnormal | st0::kEquipmentCheck;
    seen.present_cylinder = static_cast<uint8_t>(cylinder);
    if (there) drives_[number].seek(cylinder);
    arm_timer(kSeekNs);
}

void FloppyController::finish_seeks() {
    bool finished = false;
    for (DriveState& drive : state_.drives) {
        if (!drive.seeking) continue;
        drive.seeking = false;
        drive.sense_waits = true;
        finished = true;
    }
    if (finished) interrupt(true);
}

void FloppyController::dump_registers() {
    const auto& drives = state_.drives;
    finish_command(
        {{drives[0].present_cylinder, drives[1].present_cylinder, drives[2].present_cylinder,
          drives[3].present_cylinder, state_.specify[0], state_.specify[1], state_.end_of_track,
          static_cast<uint8_t>((state_.locked ? 0x80U : 0U) | state_.perpendicular),
          state_.configure[0], state_.configure[1]}});
}

void FloppyController::configure() {
    state_.configure = {static_cast<uint8_t>(code(2) & 0x7F), code(3)};
    finish_command({});
}

// "Perpendicular mode": the bits of the drives change only with OW.
void FloppyController::perpendicular() {
    const uint8_t drive_bits = (code(1) & kOverwrite) != 0 ? code(1) : state_.perpendicular;
    state_.perpendicular = static_cast<uint8_t>((code(1) & 3U) | (drive_bits & kDriveBits));
    finish_command({});
}

// The ID that passes the head next, as the disk turns.
void FloppyController::read_id() {
    state_.head = static_cast<uint8_t>(code(1) >> 2 & 1);
    FloppyDrive* found = drive();
    if (found == nullptr || !readable(*found) || !found->offset_of(state_.head, 1)) {
        state_.cylinder = 0;
        state_.sector = 0;
        return finish_transfer(st0::kAbnormal, st1::kMissingAddressMark);
    }
    const uint64_t sectors = found->geometry().sectors;
    state_.cylinder = found->state().cylinder;
    state_.sector = static_cast<uint8_t>(clock_.now_ns() % kRotationNs * sectors / kRotationNs + 1);
    finish_transfer(0);
}

}  // namespace banyan
