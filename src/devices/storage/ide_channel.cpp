// Registers of a channel. Commands are in ide_channel_commands.cpp.
#include "devices/storage/ide_channel.hpp"

#include <algorithm>
#include <cstring>

#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace ata;
using ide::BusMaster;
using ide::Command;

IdeChannel::IdeChannel(GuestMemory& memory, IrqLine irq)
    : irq_(irq), runner_(memory), prds_(memory, PrdFormat::bus_master), buffer_(kBufferSize) {
    power_on();
}

void IdeChannel::attach(unsigned unit, std::unique_ptr<AtaDevice> device) {
    devices_[unit] = std::move(device);
    power_on();
}

void IdeChannel::power_on() {
    abandon_command();
    state_ = {};
    for (unsigned unit = 0; unit < devices_.size(); ++unit) {
        if (!devices_[unit]) continue;
        devices_[unit]->reset();
        show_signature(unit);
        state_.bus_master_status |= static_cast<uint8_t>(bit<uint8_t>(5 + unit));
    }
    set_interrupt(false);
}

// What is in flight is waited for, because it uses the guest's memory.
void IdeChannel::abandon_command() {
    drain();
    state_.command = {};
    filled_ = 0;
}

// ATA/ATAPI-6, 9.12; the signature's status is 0 for a packet device.
void IdeChannel::show_signature(unsigned unit) {
    show(unit, devices_[unit]->signature());
    state_.drives[unit].status = devices_[unit]->is_packet_device() ? 0 : kStatusIdle;
}

void IdeChannel::reset_devices() {
    abandon_command();
    state_.device = 0;
    for (unsigned unit = 0; unit < devices_.size(); ++unit) {
        if (!devices_[unit]) continue;
        devices_[unit]->soft_reset();
        show_signature(unit);
    }
}

// ATA/ATAPI-6, 9.2: busy from when SRST is set until it is cleared.
void IdeChannel::soft_reset() {
    reset_devices();
    set_interrupt(false);
    for (IdeDriveStateV1& each : state_.drives)
        each.status = kStatusBusy;
}

void IdeChannel::write_control(uint8_t value) {
    const bool was_reset = (state_.control & kControlSoftReset) != 0;
    const bool is_reset = (value & kControlSoftReset) != 0;
    state_.control = value;
    if (is_reset && !was_reset) soft_reset();
    if (!is_reset && was_reset) reset_devices();
    set_interrupt(state_.interrupt);
}

void IdeChannel::set_interrupt(bool pending) {
    state_.interrupt = pending;
    const bool asserted = pending && (state_.control & kControlNoInterrupt) == 0;
    // Bus Master IDE Controller 1.0, 2.2: the bit is set with the wire, and stays.
    if (asserted) state_.bus_master_status |= ide::kBusMasterInterrupt;
    irq_.set(asserted);
}

uint8_t IdeChannel::read_alternate_status() const {
    return device() != nullptr ? drive().status : 0;
}

IoStatus IdeChannel::read_command_block(unsigned offset, unsigned size, uint32_t& value) {
    const Command reg{static_cast<uint8_t>(offset)};
    if (reg != Command::data) {
        if (size != 1) return IoStatus::bad_size;
        value = read_register(reg);
        return IoStatus::ok;
    }
    value = 0;
    for (unsigned i = 0; i < size; ++i)
        value |= uint32_t{read_data_byte()} << (8 * i);
    return IoStatus::ok;
}

IoStatus IdeChannel::write_command_block(unsigned offset, unsigned size, uint32_t value) {
    const Command reg{static_cast<uint8_t>(offset)};
    if (reg != Command::data) {
        if (size != 1) return IoStatus::bad_size;
        write_register(reg, static_cast<uint8_t>(value));
        return IoStatus::ok;
    }
    for (unsigned i = 0; i < size; ++i)
        write_data_byte(static_cast<uint8_t>(value >> (8 * i)));
    return IoStatus::ok;
}

// With HOB in the device control register, what was written before (ATA/ATAPI-6, 7.8).
uint8_t IdeChannel::read_register(Command reg) {
    if (device() == nullptr) return 0;
    const size_t which = (state_.control & kControlHighOrder) != 0 ? 1 : 0;
    switch (reg) {
        case Command::error_or_features: return drive().error;
        case Command::count: return drive().count[which];
        case Command::lba_low: return drive().lba_low[which];
        case Command::lba_mid: return drive().lba_mid[which];
        case Command::lba_high: return drive().lba_high[which];
        case Command::device: return state_.device | kDeviceObsolete;
        case Command::status_or_command: set_interrupt(false); return drive().status;
        case Command::data: break;
    }
    return 0;
}

// ATA/ATAPI-6, 7.1: both devices take what is written, and neither while one is busy.
void IdeChannel::write_shifted(std::array<uint8_t, 2> IdeDriveStateV1::*reg, uint8_t value) {
    for (IdeDriveStateV1& each : state_.drives)
        each.*reg = {value, (each.*reg)[0]};
}

void IdeChannel::write_register(Command reg, uint8_t value) {
    state_.control &= static_cast<uint8_t>(~kControlHighOrder);
    if (reg == Command::status_or_command) return start_command(value);
    if (!idle()) return;
    switch (reg) {
        case Command::error_or_features: return write_shifted(&IdeDriveStateV1::features, value);
        case Command::count: return write_shifted(&IdeDriveStateV1::count, value);
        case Command::lba_low: return write_shifted(&IdeDriveStateV1::lba_low, value);
        case Command::lba_mid: return write_shifted(&IdeDriveStateV1::lba_mid, value);
        case Command::lba_high: return write_shifted(&IdeDriveStateV1::lba_high, value);
        case Command::device: state_.device = value; return;
        case Command::data:
        case Command::status_or_command: return;
    }
}

void IdeChannel::show(unsigned unit, const AtaOutput& output) {
    IdeDriveStateV1& registers = state_.drives[unit];
    const auto byte = [](uint64_t value, unsigned number) {
        return static_cast<uint8_t>(value >> (8 * number));
    };
    registers.error = output.error;
    registers.count = {byte(output.count, 0), byte(output.count, 1)};
    registers.lba_low = {byte(output.lba, 0), byte(output.lba, 3)};
    registers.lba_mid = {byte(output.lba, 1), byte(output.lba, 4)};
    registers.lba_high = {byte(output.lba, 2), byte(output.lba, 5)};
}

// Bus Master IDE Controller 1.0, 2.
IoStatus IdeChannel::read_bus_master(unsigned offset, unsigned size, uint32_t& value) const {
    const unsigned table = static_cast<unsigned>(BusMaster::table);
    std::array<uint8_t, 8> registers{state_.bus_master_command, 0, state_.bus_master_status, 0};
    std::memcpy(registers.data() + table, &state_.bus_master_table, 4);
    if (offset + size > registers.size()) return IoStatus::bad_size;
    value = 0;
    std::memcpy(&value, registers.data() + offset, size);
    return IoStatus::ok;
}

IoStatus IdeChannel::write_bus_master(unsigned offset, unsigned size, uint32_t value) {
    const unsigned table = static_cast<unsigned>(BusMaster::table);
    if (offset >= table) {
        if (offset != table || size != 4) return IoStatus::bad_size;
        state_.bus_master_table = value & ~3U;
        return IoStatus::ok;
    }
    // A wider access reaches the registers after it, too.
    for (unsigned i = 0; i < size; ++i, value >>= 8)
        write_bus_master_byte(static_cast<BusMaster>(offset + i), static_cast<uint8_t>(value));
    return IoStatus::ok;
}

void IdeChannel::write_bus_master_byte(BusMaster reg, uint8_t value) {
    uint8_t& status = state_.bus_master_status;
    if (reg == BusMaster::status) {
        constexpr uint8_t kClearable = ide::kBusMasterError | ide::kBusMasterInterrupt;
        status = static_cast<uint8_t>((status & ~(value & kClearable) & ~ide::kBusMasterCapable) |
                                      (value & ide::kBusMasterCapable));
        return;
    }
    if (reg != BusMaster::command) return;
    const bool started = (state_.bus_master_command & ide::kBusMasterStart) != 0;
    const bool start = (value & ide::kBusMasterStart) != 0;
    state_.bus_master_command = value & (ide::kBusMasterStart | ide::kBusMasterRead);
    if (start && !started) {
        status |= ide::kBusMasterActive;
        start_dma();
    } else if (!start && started) {
        // 2.1: to stop it in the middle loses the transfer; here it is awaited.
        drain();
        status &= static_cast<uint8_t>(~ide::kBusMasterActive);
    }
}

IdeChannelStateV1 IdeChannel::state() const {
    BANYAN_ASSERT(!in_flight_);
    IdeChannelStateV1 state = state_;
    for (size_t unit = 0; unit < devices_.size(); ++unit) {
        if (devices_[unit]) state.drives[unit].device = devices_[unit]->state();
    }
    for (size_t i = 0; i < filled_; ++i)
        state.command.buffer.push_back(static_cast<uint8_t>(buffer_[i]));
    return state;
}

bool IdeChannel::restore(const IdeChannelStateV1& state) {
    for (size_t unit = 0; unit < devices_.size(); ++unit) {
        if (devices_[unit] && !devices_[unit]->restore(state.drives[unit].device)) return false;
    }
    if (!command_possible(state.command)) return false;
    state_ = state;
    for (IdeDriveStateV1& each : state_.drives)
        each.device = {};
    filled_ = state.command.buffer.size();
    const auto saved = std::as_bytes(std::span(state.command.buffer));
    std::copy(saved.begin(), saved.end(), buffer_.begin());
    state_.command.buffer.clear();
    state_.bus_master_table &= ~3U;
    state_.bus_master_command &= ide::kBusMasterStart | ide::kBusMasterRead;
    irq_.set(state_.interrupt && (state_.control & kControlNoInterrupt) == 0);
    return true;
}

// Whether a command could wait in this way.
bool IdeChannel::command_possible(const IdeCommandStateV1& command) const {
    const auto& device = devices_[(command.device & kDeviceSelect) != 0 ? 1 : 0];
    if (command.phase == IdePhase::idle) return command.buffer.empty();
    if (command.phase > IdePhase::dma || !device || device->is_packet_device() != command.is_packet)
        return false;
    const uint64_t size = device->backend().size_bytes();
    const bool inside = command.media_offset <= size &&
                        command.media_left <= size - command.media_offset &&
                        command.media_offset % kSector == 0 && command.media_left % kSector == 0;
    const bool chunk = command.buffer.size() <= kBufferSize &&
                       command.position <= command.chunk_end &&
                       command.chunk_end <= command.buffer.size();
    if (!inside || !chunk) return false;
    const bool media = command.plan == static_cast<uint8_t>(PlanKind::media_in) ||
                       command.plan == static_cast<uint8_t>(PlanKind::media_out);
    switch (command.phase) {
        case IdePhase::idle: break;
        case IdePhase::packet: return command.chunk_end == kPacketSize && command.is_packet;
        case IdePhase::to_host:
            return command.drq_length >= 2 && command.position < command.chunk_end;
        case IdePhase::from_host:
            return !command.is_packet && command.chunk_end % kSector == 0 &&
                   command.position < command.chunk_end &&
                   command.chunk_end <= command.media_left && command.drq_length >= kSector &&
                   command.drq_length <= kBufferSize && command.drq_length % kSector == 0 &&
                   !device->backend().read_only();
        case IdePhase::dma: return dma_possible(command, *device, media);
    }
    return false;
}

bool IdeChannel::dma_possible(const IdeCommandStateV1& command, const AtaDevice& device,
                              bool media) {
    if (command.plan == static_cast<uint8_t>(PlanKind::media_out) && device.backend().read_only())
        return false;
    if (media) return command.media_left != 0;
    if (command.plan == static_cast<uint8_t>(PlanKind::data_in)) return !command.buffer.empty();
    return command.plan == static_cast<uint8_t>(PlanKind::data_out) && !command.is_packet &&
           Op{command.op} == Op::data_set_management && command.media_left == kSector;
}

}  // namespace banyan
