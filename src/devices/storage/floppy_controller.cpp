// The controller's registers, its resets and its saved state.
#include "devices/storage/floppy_controller.hpp"

#include <algorithm>

#include "devices/storage/floppy_state.hpp"
#include "snapshot/state.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace fdc;

namespace {

constexpr std::array<PortRange, 2> kFloppyPorts{
    {{FloppyController::kBase + DIGITAL_OUTPUT, 4}, {FloppyController::kBase + DIGITAL_INPUT, 1}}};

// From the end of a reset to its interrupt: drivers have to wait for it, and some look for it only
// after they have written the register.
constexpr uint64_t kResetNs = 250'000;

}  // namespace

FloppyController::FloppyController(const Wiring& wiring)
    : clock_(wiring.clock),
      irq_(wiring.irq6),
      dma_(wiring.dma),
      timer_(wiring.timers.create_timer(*this, 0)) {}

uint8_t FloppyController::cmos_drive_types() const {
    return static_cast<uint8_t>(drives_[0].geometry().type << 4 | drives_[1].geometry().type);
}

std::span<const PortRange> FloppyController::port_ranges() const {
    return kFloppyPorts;
}

// A sector that is done may begin the next one; a command passes two tracks at most.
void FloppyController::drain() const {
    while (busy_ != nullptr)
        busy_->drain();
}

// "Hardware reset": all registers, as after power-on. The disks stay in.
void FloppyController::reset() {
    drain();
    timer_->cancel();
    state_ = {};
    for (FloppyDrive& drive : drives_)
        drive.reset();
    update_irq();
}

IoStatus FloppyController::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    switch (port - kBase) {
        case DIGITAL_OUTPUT: value = state_.output; return IoStatus::ok;
        case TAPE_DRIVE: value = state_.tape; return IoStatus::ok;
        case MAIN_STATUS: value = main_status(); return IoStatus::ok;
        case FIFO: value = read_fifo(); return IoStatus::ok;
        case DIGITAL_INPUT: value = digital_input(); return IoStatus::ok;
        default: return IoStatus::no_register;
    }
}

IoStatus FloppyController::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    const auto byte = static_cast<uint8_t>(value);
    switch (port - kBase) {
        case DIGITAL_OUTPUT: write_output(byte); return IoStatus::ok;
        case TAPE_DRIVE: state_.tape = byte & 3; return IoStatus::ok;
        case MAIN_STATUS: write_rate(byte); return IoStatus::ok;
        case FIFO: write_fifo(byte); return IoStatus::ok;
        case DIGITAL_INPUT: state_.rate = byte & dsr::kRate; return IoStatus::ok;
        default: return IoStatus::no_register;
    }
}

uint8_t FloppyController::main_status() const {
    if (in_reset()) return 0;
    uint8_t value = 0;
    for (unsigned i = 0; i < kSelectable; ++i)
        if (state_.drives[i].seeking) value |= bit<uint8_t>(i);
    const bool executes = state_.phase == Phase::to_host || state_.phase == Phase::from_host;
    switch (state_.phase) {
        case Phase::command:
            return static_cast<uint8_t>(value | msr::RQM |
                                        (state_.command_length != 0 ? msr::BUSY : 0));
        case Phase::disk: value |= msr::BUSY; break;
        case Phase::result: value |= msr::BUSY | msr::RQM | msr::DIO; break;
        case Phase::to_host:
        case Phase::from_host: value |= msr::BUSY; break;
    }
    if (dma_mode() || state_.phase == Phase::result) return value;
    value |= msr::NON_DMA;
    if (executes) value |= msr::RQM;
    if (state_.phase == Phase::to_host) value |= msr::DIO;
    return value;
}

// Section 2.1.7: the change line is that of the selected drive. A drive that is not there has no
// disk.
uint8_t FloppyController::digital_input() const {
    const unsigned selected = state_.output & 3U;
    const bool changed =
        selected >= kMaxDrives || !drives_[selected].present() || drives_[selected].state().changed;
    return changed ? kDiskChanged : 0;
}

uint8_t FloppyController::read_fifo() {
    if (in_reset()) return 0;
    if (state_.phase == Phase::to_host && !dma_mode()) {
        const auto byte = std::to_integer<uint8_t>(state_.buffer[state_.at++]);
        if (state_.at == state_.length) buffer_done();
        return byte;
    }
    if (state_.phase != Phase::result) return 0;
    interrupt(false);  // section 4.2: the first byte of the result takes the interrupt back
    const uint8_t byte = state_.result[state_.result_at++];
    if (state_.result_at == state_.result_length) {
        state_.phase = Phase::command;
        state_.command_length = 0;
    }
    return byte;
}

void FloppyController::write_fifo(uint8_t value) {
    if (in_reset()) return;
    if (state_.phase == Phase::from_host && !dma_mode()) {
        state_.buffer[state_.at++] = std::byte{value};
        if (state_.at == state_.length) buffer_done();
        return;
    }
    if (state_.phase != Phase::command) return;
    state_.command[state_.command_length++] = value;
    if (state_.command_length == command_length(state_.command[0])) execute();
}

void FloppyController::write_output(uint8_t value) {
    const bool was_reset = in_reset();
    state_.output = value;
    if (in_reset() && !was_reset) enter_reset();
    if (!in_reset() && was_reset) leave_reset();
    update_irq();
}

void FloppyController::write_rate(uint8_t value) {
    state_.rate = value & dsr::kRate;
    if ((value & dsr::kReset) == 0 || in_reset()) return;
    enter_reset();
    leave_reset();
}

// Section 3.3 "Software resets": what CONFIGURE set goes, unless LOCK holds it; PERPENDICULAR
// keeps its drive bits; SPECIFY stays.
void FloppyController::enter_reset() {
    drain();
    state_.phase = Phase::command;
    state_.command_length = 0;
    state_.reset_pending = false;
    state_.perpendicular &= kDriveBits;
    if (!state_.locked) state_.configure = {kNoFifo, 0};
    for (DriveState& drive : state_.drives)
        drive = {};
    interrupt(false);
    timer_->cancel();
}

void FloppyController::leave_reset() {
    if ((state_.configure[0] & kNoPolling) != 0) return;
    state_.reset_pending = true;
    arm_timer(kResetNs);
}

void FloppyController::interrupt(bool wanted) {
    state_.interrupt = wanted;
    update_irq();
}

void FloppyController::update_irq() {
    irq_.set(state_.interrupt && !in_reset() && (state_.output & dor::kDmaGate) != 0);
}

void FloppyController::arm_timer(uint64_t ns) {
    timer_->arm(clock_.now_ns() + ns);
}

void FloppyController::on_timer(unsigned /*cookie*/) {
    if (state_.reset_pending) tell_of_reset();
    finish_seeks();
    const bool transfers = state_.phase == Phase::to_host || state_.phase == Phase::from_host;
    if (transfers && dma_mode()) move_by_dma();
}

void FloppyController::save(StateWriter& writer) const {
    drain();
    FloppyControllerStateV1 saved;
    store(saved);
    writer.section(saved);
}

void FloppyController::store(FloppyControllerStateV1& saved) const {
    const State& s = state_;
    for (unsigned i = 0; i < kSelectable; ++i) {
        const FloppyDrive::State drive = i < kMaxDrives ? drives_[i].state() : FloppyDrive::State{};
        const DriveState& seen = s.drives[i];
        saved.drives[i] = {drive.cylinder, drive.changed,    seen.present_cylinder,
                           seen.seeking,   seen.sense_waits, seen.sense};
    }
    saved.output = s.output;
    saved.tape = s.tape;
    saved.rate = s.rate;
    saved.phase = static_cast<uint8_t>(s.phase);
    saved.interrupt = s.interrupt;
    saved.reset_pending = s.reset_pending;
    saved.command = s.command;
    saved.command_length = s.command_length;
    saved.result = s.result;
    saved.result_length = s.result_length;
    saved.result_at = s.result_at;
    saved.specify = s.specify;
    saved.configure = s.configure;
    saved.perpendicular = s.perpendicular;
    saved.locked = s.locked;
    saved.end_of_track = s.end_of_track;
    saved.cylinder = s.cylinder;
    saved.head = s.head;
    saved.sector = s.sector;
    saved.left = s.left;
    saved.at = s.at;
    saved.length = s.length;
    saved.terminal_count = s.terminal_count;
    std::transform(s.buffer.begin(), s.buffer.end(), saved.buffer.begin(),
                   [](std::byte b) { return std::to_integer<uint8_t>(b); });
}

Result<void> FloppyController::restore(StateReader& reader) {
    drain();
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> FloppyController::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<FloppyControllerStateV1>());
    const auto phase = static_cast<Phase>(saved.phase);
    const bool transfers = phase == Phase::to_host || phase == Phase::from_host;
    const unsigned wanted = command_length(saved.command[0]);
    bool possible = saved.phase <= static_cast<uint8_t>(Phase::result) && phase != Phase::disk &&
                    saved.tape <= 3 && saved.rate <= dsr::kRate && saved.head <= 1 &&
                    saved.length <= saved.buffer.size() && saved.at <= saved.length &&
                    saved.result_length <= saved.result.size();
    if (phase == Phase::command) possible &= saved.command_length < wanted;
    if (phase == Phase::result) possible &= saved.result_at < saved.result_length;
    if (transfers) possible &= saved.command_length == wanted && saved.at < saved.length;
    for (unsigned i = 0; i < kMaxDrives; ++i)
        possible &= drives_[i].set_state({saved.drives[i].cylinder, saved.drives[i].changed});
    if (!possible) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'floppy' is impossible");
    }
    load(saved);
    // The sector of a command may be one that is not there.
    if (transfers && drive() == nullptr) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: 'floppy' transfers with a drive that is not there");
    }
    update_irq();
    timer_->cancel();
    const bool seeks = std::any_of(state_.drives.begin(), state_.drives.end(),
                                   [](const DriveState& drive) { return drive.seeking; });
    if (state_.reset_pending || seeks || (transfers && dma_mode())) arm_timer(kResetNs);
    return {};
}

void FloppyController::load(const FloppyControllerStateV1& saved) {
    State& s = state_;
    for (unsigned i = 0; i < kSelectable; ++i) {
        const FloppyDriveStateV1& drive = saved.drives[i];
        s.drives[i] = {drive.present_cylinder, drive.seeking, drive.sense_waits, drive.sense};
    }
    s.output = saved.output;
    s.tape = saved.tape;
    s.rate = saved.rate;
    s.phase = static_cast<Phase>(saved.phase);
    s.interrupt = saved.interrupt;
    s.reset_pending = saved.reset_pending;
    s.command = saved.command;
    s.command_length = saved.command_length;
    s.result = saved.result;
    s.result_length = saved.result_length;
    s.result_at = saved.result_at;
    s.specify = saved.specify;
    s.configure = saved.configure;
    s.perpendicular = saved.perpendicular;
    s.locked = saved.locked;
    s.end_of_track = saved.end_of_track;
    s.cylinder = saved.cylinder;
    s.head = saved.head;
    s.sector = saved.sector;
    s.left = saved.left;
    s.at = saved.at;
    s.length = saved.length;
    s.terminal_count = saved.terminal_count;
    std::transform(saved.buffer.begin(), saved.buffer.end(), s.buffer.begin(),
                   [](uint8_t b) { return std::byte{b}; });
}

}  // namespace banyan
