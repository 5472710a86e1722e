// Commands of a port: from PxCI to the FIS that tells of their end (AHCI 1.3.1, 5.5 and 5.6).
#include <algorithm>
#include <utility>

#include "devices/storage/ahci_port.hpp"
#include "support/assert.hpp"

namespace banyan {

using namespace ahci;

namespace {

constexpr unsigned kCommandFisLength = 5;  // double words of a register FIS

AtaCommand command_of(const std::array<uint8_t, 20>& fis) {
    AtaCommand command;
    command.op = ata::Op{fis[2]};
    command.device = fis[7];
    command.features = static_cast<uint16_t>(fis[3] | fis[11] << 8);
    command.count = static_cast<uint16_t>(fis[12] | fis[13] << 8);
    for (unsigned i = 0; i < 3; ++i) {
        command.lba |= uint64_t{fis[4 + i]} << (8 * i);
        command.lba |= uint64_t{fis[8 + i]} << (8 * i + 24);
    }
    return command;
}

}  // namespace

bool AhciPort::may_run() const {
    return device_ != nullptr && dma_enabled_ && !draining_ && !exclusive_ && !state_.halted &&
           (state_.command & kCmdListRunning) != 0 && state_.link_status == kLinkUp;
}

// 5.5.1: in turn, from the slot after the last one. -1: none.
int AhciPort::next_slot() const {
    const unsigned last = state_.command >> kCmdCurrentSlotShift & 31U;
    for (unsigned i = 1; i <= kSlots; ++i) {
        const unsigned index = (last + i) % kSlots;
        if (has_bit(state_.issue, index) && !slots_[index].busy) return static_cast<int>(index);
    }
    return -1;
}

// Ends after as many commands as there were bits in PxCI: only the driver adds some.
void AhciPort::run() {
    if (running_) return;
    running_ = true;
    while (may_run()) {
        const int index = next_slot();
        if (index < 0 || !issue(static_cast<unsigned>(index))) break;
    }
    running_ = false;
}

// False when it has to wait for what is in flight.
bool AhciPort::issue(unsigned index) {
    Slot& slot = slots_[index];
    Fis fis{};
    if (!read_command(index, slot, fis)) return true;
    const bool queued = ata::Op{fis[2]} == ata::Op::read_fpdma_queued ||
                        ata::Op{fis[2]} == ata::Op::write_fpdma_queued;
    if (!queued && in_flight_ != 0) return false;
    state_.command = (state_.command & ~kCmdCurrentSlot) | index << kCmdCurrentSlotShift;
    if ((fis[1] & kFisCommand) == 0) {
        control_fis(index, fis[15]);
        return true;
    }
    slot.command = command_of(fis);
    slot.busy = true;
    slot.dropped = false;
    ++in_flight_;
    // There is no port multiplier, behind whose other ports something could be.
    if ((fis[1] & kFisPortMask) != 0) slot.command.op = ata::Op::nop;
    begin(index, slot);
    return true;
}

// False when there is no command in it; then the port stands still.
bool AhciPort::read_command(unsigned index, Slot& slot, Fis& fis) {
    CommandHeader header;
    CommandTable table;
    slot.header = Gpa{state_.command_list + index * sizeof(header)};
    if (!memory_.read_object(slot.header, header)) return halt(kIsHostBusFatal), false;
    const Gpa at{uint64_t{header.command_table} & ~uint64_t{127}};
    if (!memory_.read_object(at, table)) return halt(kIsHostBusFatal), false;
    std::copy_n(table.fis.begin(), fis.size(), fis.begin());
    slot.packet = table.packet;
    slot.prds.start(at + sizeof(table), header.prdt_length);
    if ((header.flags & kHeaderFisLength) >= kCommandFisLength && fis[0] == kFisHostToDevice)
        return true;
    halt(kIsInterfaceFatal);
    return false;
}

// Serial ATA 3.0, 11.4 "Software reset": the device is reset when SRST goes, and answers with its
// signature.
void AhciPort::control_fis(unsigned index, uint8_t control) {
    state_.issue &= ~bit<uint32_t>(index);
    const bool asserted = (control & ata::kControlSoftReset) != 0;
    const bool was_asserted = std::exchange(state_.soft_reset_asserted, asserted);
    if (asserted || !was_asserted) return;
    device_->soft_reset();
    state_.signature_waits = true;
    deliver_signature();
}

void AhciPort::begin(unsigned index, Slot& slot) {
    slot.plan = device_->start(slot.command, slot.runner.work());
    if (is_queued(slot)) {
        // 5.5.2: the device has taken it; the slot's bit in PxSACT stays until it is done.
        state_.issue &= ~bit<uint32_t>(index);
    } else {
        exclusive_ = true;
        set_task_file(ata::kStatusBusy, 0);
    }
    if (slot.plan.protocol == AtaProtocol::packet)
        slot.plan.data = device_->start_packet(slot.packet, slot.runner.work());
    carry_out(index, slot);
}

void AhciPort::carry_out(unsigned index, Slot& slot) {
    switch (slot.plan.data.kind) {
        case PlanKind::complete: return finish(index, slot);
        case PlanKind::failed: return fail(slot);
        default: break;
    }
    if (slot.runner.start(slot.plan.data, slot.prds, device_->backend(), *this, index))
        plan_ended(index, slot);
}

void AhciPort::on_block_complete(uint64_t cookie, BlockStatus status) {
    const auto index = static_cast<unsigned>(cookie);
    BANYAN_ASSERT(index < slots_.size() && slots_[index].busy);
    Slot& slot = slots_[index];
    if (!slot.runner.advance(status)) return;
    plan_ended(index, slot);
    run();
}

void AhciPort::plan_ended(unsigned index, Slot& slot) {
    if (slot.dropped) return release(slot);
    const PlanRunner& runner = slot.runner;
    const bool packet = slot.plan.protocol == AtaProtocol::packet;
    if (runner.result() == PlanRunner::Result::ok && slot.plan.data.kind == PlanKind::data_out) {
        if (packet) {
            slot.plan.data =
                device_->take_packet_parameters(runner.parameters(), slot.runner.work());
        } else {
            slot.plan =
                device_->take_parameters(slot.command, runner.parameters(), slot.runner.work());
        }
        return carry_out(index, slot);
    }
    if (runner.result() == PlanRunner::Result::ok) return finish(index, slot);
    if (runner.result() == PlanRunner::Result::bad_memory) {
        release(slot);
        return halt(kIsHostBusFatal);
    }
    const bool write = slot.plan.data.kind != PlanKind::media_in;
    slot.plan.output = device_->fail_plan(slot.command, runner.result(), write, runner.done());
    fail(slot);
}

void AhciPort::release(Slot& slot) {
    slot.busy = false;
    --in_flight_;
    if (!is_queued(slot)) exclusive_ = false;
}

// 5.6: the data have moved, PRDBC tells how many, and a FIS of the end.
void AhciPort::finish(unsigned index, Slot& slot) {
    const bool data = slot.plan.data.kind != PlanKind::complete;
    const uint32_t moved = data ? static_cast<uint32_t>(slot.runner.moved()) : 0;
    release(slot);
    if (data && slot.runner.overflow()) raise(kIsOverflow);
    if (data && slot.prds.wants_interrupt()) raise(kIsDescriptor);
    if (is_queued(slot)) return finish_queued(slot);
    state_.issue &= ~bit<uint32_t>(index);
    if (!memory_.write_object(slot.header + kPrdByteCountOffset, moved))
        return halt(kIsHostBusFatal);
    AtaOutput output = slot.plan.output;
    switch (slot.plan.protocol) {
        case AtaProtocol::pio:
            receive_pio_setup(slot);
            if (slot.plan.data.kind != PlanKind::media_out) return;
            break;
        case AtaProtocol::packet: output.count = ata::kReasonCommand | ata::kReasonToHost; break;
        default: break;
    }
    receive_register_fis(ata::kStatusIdle, output);
}

void AhciPort::finish_queued(Slot& slot) {
    receive_set_device_bits(ata::kStatusIdle, 0, bit<uint32_t>(tag_of(slot)));
}

// 6.2.2.1: the slot's bit in PxCI stays for the driver to see.
void AhciPort::fail(Slot& slot) {
    if (is_queued(slot)) return fail_queued(slot);
    release(slot);
    AtaOutput output = slot.plan.output;
    if (slot.plan.protocol == AtaProtocol::packet) {
        output.error = device_->packet_error();
        output.count = ata::kReasonCommand | ata::kReasonToHost;
    }
    state_.halted = true;
    receive_register_fis(ata::kStatusReady | ata::kStatusError, output);
    raise(kIsTaskFileError);
}

// 6.2.2.2: with one queued command fail all; which it was, the driver reads from the device's log.
void AhciPort::fail_queued(Slot& slot) {
    release(slot);
    for (Slot& other : slots_)
        other.dropped = other.busy;
    state_.halted = true;
    receive_set_device_bits(ata::kStatusReady | ata::kStatusError, slot.plan.output.error, 0);
    raise(kIsTaskFileError);
}

void AhciPort::halt(uint32_t reason) {
    for (Slot& slot : slots_)
        slot.dropped = slot.busy;
    state_.halted = true;
    raise(reason);
}

void AhciPort::drain() {
    if (in_flight_ == 0) return;
    draining_ = true;
    // More than once: a command may have several steps.
    while (in_flight_ != 0)
        device_->backend().drain();
    draining_ = false;
    if (state_.issue != 0) host_.run_later();
}

void AhciPort::set_dma_enabled(bool enabled) {
    if (dma_enabled_ == enabled) return;
    if (!enabled) drain();
    dma_enabled_ = enabled;
    if (enabled) run();
}

}  // namespace banyan
