// Commands of a channel: from the command register to the interrupt of their end (ATA/ATAPI-6, 9).
#include <algorithm>
#include <cstring>

#include "devices/storage/ide_channel.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace ata;

namespace {

// Who a step of the back end belongs to.
constexpr uint64_t kRunnerCookie = 0;
constexpr uint64_t kPioCookie = 1;

constexpr uint8_t kPacketUsesDma = 1;  // features of PACKET

// For plans without data.
class NoSegments final : public DmaSource {
public:
    Next next(DmaSegment&) override { return Next::end; }
};

// ATA/ATAPI-6, 8.23.4: the most that moves at a time by PIO; it is even.
uint64_t byte_count_limit(uint64_t lba) {
    const uint64_t limit = bits(lba, 23, 8) & ~uint64_t{1};
    return limit == 0 ? 0xfffe : limit;
}

}  // namespace

AtaCommand IdeChannel::command_of(uint8_t op) const {
    const IdeDriveStateV1& r = drive();
    const auto both = [](const std::array<uint8_t, 2>& reg) {
        return static_cast<uint16_t>(reg[0] | reg[1] << 8);
    };
    AtaCommand command;
    command.op = Op{op};
    command.device = state_.device;
    command.features = both(r.features);
    command.count = both(r.count);
    const std::array<uint8_t, 6> lba{r.lba_low[0], r.lba_mid[0], r.lba_high[0],
                                     r.lba_low[1], r.lba_mid[1], r.lba_high[1]};
    for (unsigned i = 0; i < lba.size(); ++i)
        command.lba |= uint64_t{lba[i]} << (8 * i);
    return command;
}

void IdeChannel::remember(const AtaCommand& command) {
    state_.command = {};
    state_.command.op = static_cast<uint8_t>(command.op);
    state_.command.device = command.device;
    state_.command.features = command.features;
    state_.command.count = command.count;
    state_.command.lba = command.lba;
    state_.command.is_packet = active_device().is_packet_device();
    filled_ = 0;
}

AtaCommand IdeChannel::remembered() const {
    const IdeCommandStateV1& c = state_.command;
    return {
        .op = Op{c.op}, .device = c.device, .features = c.features, .count = c.count, .lba = c.lba};
}

// ATA/ATAPI-6, 7.4 and 9.11: while a command runs only DEVICE RESET is taken, by packet devices.
void IdeChannel::start_command(uint8_t op) {
    if (device() == nullptr || (state_.control & kControlSoftReset) != 0) return;
    const bool device_reset = Op{op} == Op::device_reset && device()->is_packet_device();
    if (!idle()) {
        if (!device_reset) return;
        abandon_command();
    }
    set_interrupt(false);
    if (Op{op} == Op::execute_device_diagnostic) {  // 8.9: both devices carry it out
        reset_devices();
        return set_interrupt(true);
    }
    const AtaCommand command = command_of(op);
    remember(command);
    if (device_reset) return show_signature(active());  // 8.8: without an interrupt
    set_status(kStatusBusy);
    begin(active_device().start(command, runner_.work()));
}

void IdeChannel::begin(const AtaPlan& plan) {
    output_ = plan.output;
    if (plan.data.kind == PlanKind::failed) return fail(plan.output);
    IdeCommandStateV1& command = state_.command;
    switch (plan.protocol) {
        case AtaProtocol::packet: return begin_packet();
        case AtaProtocol::pio: command.drq_length = plan.drq_length; break;
        case AtaProtocol::dma: command.phase = IdePhase::dma; break;
        case AtaProtocol::non_data:
        case AtaProtocol::queued: break;
    }
    carry_out(plan.data);
}

// 9.8: the device asks for the packet at once, without an interrupt (IDENTIFY PACKET DEVICE says
// so in word 0).
void IdeChannel::begin_packet() {
    IdeCommandStateV1& command = state_.command;
    command.phase = IdePhase::packet;
    command.drq_length = byte_count_limit(command.lba);
    command.position = 0;
    command.chunk_end = kPacketSize;
    filled_ = kPacketSize;
    set_packet_registers(kReasonCommand, 0);
    set_status(kStatusReady | kStatusDataRequest);
}

void IdeChannel::packet_received() {
    std::array<uint8_t, kPacketSize> packet{};
    std::memcpy(packet.data(), buffer_.data(), packet.size());
    IdeCommandStateV1& command = state_.command;
    command.phase = (command.features & kPacketUsesDma) != 0 ? IdePhase::dma : IdePhase::idle;
    command.position = command.chunk_end = 0;
    filled_ = 0;
    set_status(kStatusBusy);
    carry_out(active_device().start_packet(packet, runner_.work()));
}

void IdeChannel::set_packet_registers(uint8_t reason, uint16_t byte_count) {
    IdeDriveStateV1& registers = active_drive();
    registers.count[0] = reason;
    registers.lba_mid[0] = static_cast<uint8_t>(byte_count);
    registers.lba_high[0] = static_cast<uint8_t>(byte_count >> 8);
}

void IdeChannel::carry_out(const DataPlan& plan) {
    switch (plan.kind) {
        case PlanKind::complete: return finish();
        case PlanKind::failed: return fail(output_);
        case PlanKind::work: return run_work(plan);
        default: return begin_data(plan);
    }
}

void IdeChannel::run_work(const DataPlan& plan) {
    NoSegments nothing;
    state_.command.phase = IdePhase::idle;
    state_.command.plan = static_cast<uint8_t>(plan.kind);
    in_flight_ = true;
    if (runner_.start(plan, nothing, active_device().backend(), *this, kRunnerCookie))
        runner_ended();
}

// Data wait for the bus master, or go by PIO.
void IdeChannel::begin_data(const DataPlan& plan) {
    IdeCommandStateV1& command = state_.command;
    command.plan = static_cast<uint8_t>(plan.kind);
    command.flush_after = plan.flush_after;
    command.media_offset = plan.offset;
    command.media_left = plan.kind == PlanKind::data_in ? 0 : plan.length;
    if (plan.kind == PlanKind::data_in) load(plan.response);
    if (command.phase == IdePhase::dma) {
        set_status(kStatusIdle | kStatusDataRequest);
        return start_dma();
    }
    switch (plan.kind) {
        case PlanKind::data_in: return offer_chunk();
        case PlanKind::media_in: return fill_buffer();
        case PlanKind::media_out: return request_chunk();
        default: break;
    }
    // No command of these devices sends parameters by PIO.
    output_.error = kErrorAbort;
    fail(output_);
}

void IdeChannel::load(std::span<const std::byte> bytes) {
    BANYAN_ASSERT(bytes.size() <= buffer_.size());
    std::copy(bytes.begin(), bytes.end(), buffer_.begin());
    filled_ = bytes.size();
    state_.command.position = state_.command.chunk_end = 0;
}

// More of the medium for the host to read.
void IdeChannel::fill_buffer() {
    const uint64_t length = std::min(state_.command.media_left, kBufferSize);
    set_status(kStatusBusy);
    submit(BlockRequest::Kind::read, length);
}

void IdeChannel::submit(BlockRequest::Kind kind, uint64_t length) {
    state_.command.phase = IdePhase::idle;
    in_flight_ = true;
    request_ = kind;
    request_buffer_[0] = std::span(buffer_).first(length);
    const bool with_data = kind != BlockRequest::Kind::flush;
    const std::span<const std::span<std::byte>> buffers =
        with_data ? std::span<const std::span<std::byte>>(request_buffer_)
                  : std::span<const std::span<std::byte>>();
    const uint64_t offset = with_data ? state_.command.media_offset : 0;
    active_device().backend().submit({kind, offset, length, buffers, kPioCookie}, *this);
}

void IdeChannel::on_block_complete(uint64_t cookie, BlockStatus status) {
    BANYAN_ASSERT(in_flight_);
    if (cookie == kPioCookie) {
        in_flight_ = false;
        return medium_done(status);
    }
    if (runner_.advance(status)) runner_ended();
}

// A step of PIO.
void IdeChannel::medium_done(BlockStatus status) {
    IdeCommandStateV1& command = state_.command;
    const bool write = request_ != BlockRequest::Kind::read;
    if (status != BlockStatus::ok) {
        return fail(
            active_device().fail_plan(remembered(), PlanRunner::Result::media_error, write, 0));
    }
    if (request_ == BlockRequest::Kind::flush) return finish();
    const uint64_t length = request_buffer_[0].size();
    command.media_offset += length;
    command.media_left -= length;
    if (request_ == BlockRequest::Kind::read) {
        filled_ = length;
        command.position = command.chunk_end = 0;
        return offer_chunk();
    }
    if (command.media_left == 0) {
        if (command.flush_after) return submit(BlockRequest::Kind::flush, 0);
        return finish();
    }
    request_chunk();
    set_interrupt(true);
}

// 9.5 "PIO data-in": an interrupt for each data request.
void IdeChannel::offer_chunk() {
    IdeCommandStateV1& command = state_.command;
    const uint64_t length = std::min(command.drq_length, filled_ - command.position);
    command.phase = IdePhase::to_host;
    command.chunk_end = static_cast<uint32_t>(command.position + length);
    if (command.is_packet && Op{command.op} == Op::packet) {
        set_packet_registers(kReasonToHost, static_cast<uint16_t>(length));
    }
    set_status(kStatusIdle | kStatusDataRequest);
    set_interrupt(true);
}

void IdeChannel::chunk_read() {
    IdeCommandStateV1& command = state_.command;
    if (command.position < filled_) return offer_chunk();
    if (command.media_left != 0) return fill_buffer();
    // A packet command ends with an interrupt (9.8), any other with its last data (9.5).
    if (Op{command.op} == Op::packet) return finish();
    show(active(), output_of_command());
    end_command(kStatusIdle);
}

// 9.6 "PIO data-out": the first data request comes without an interrupt.
void IdeChannel::request_chunk() {
    IdeCommandStateV1& command = state_.command;
    command.phase = IdePhase::from_host;
    command.position = 0;
    command.chunk_end = static_cast<uint32_t>(std::min(command.drq_length, command.media_left));
    filled_ = command.chunk_end;
    set_status(kStatusIdle | kStatusDataRequest);
}

void IdeChannel::chunk_written() {
    set_status(kStatusBusy);
    submit(BlockRequest::Kind::write, state_.command.chunk_end);
}

uint8_t IdeChannel::read_data_byte() {
    IdeCommandStateV1& command = state_.command;
    if (command.phase != IdePhase::to_host) return 0xff;
    const auto value = static_cast<uint8_t>(buffer_[command.position++]);
    if (command.position == command.chunk_end) chunk_read();
    return value;
}

void IdeChannel::write_data_byte(uint8_t value) {
    IdeCommandStateV1& command = state_.command;
    if (command.phase != IdePhase::from_host && command.phase != IdePhase::packet) return;
    buffer_[command.position++] = std::byte{value};
    if (command.position != command.chunk_end) return;
    if (command.phase == IdePhase::packet) return packet_received();
    chunk_written();
}

// When the device has data and the bus master runs.
void IdeChannel::start_dma() {
    IdeCommandStateV1& command = state_.command;
    const bool runs = (state_.bus_master_status & ide::kBusMasterActive) != 0;
    if (command.phase != IdePhase::dma || !runs || !dma_enabled_ || in_flight_) return;
    const PlanKind kind{command.plan};
    DataPlan plan{.kind = kind,
                  .offset = command.media_offset,
                  .length = kind == PlanKind::data_in ? filled_ : command.media_left,
                  .flush_after = command.flush_after,
                  .response = std::span<const std::byte>(buffer_).first(filled_)};
    prds_.start(Gpa{state_.bus_master_table}, PrdList::kMaxBusMasterEntries);
    command.phase = IdePhase::idle;
    in_flight_ = true;
    if (runner_.start(plan, prds_, active_device().backend(), *this, kRunnerCookie)) runner_ended();
}

void IdeChannel::runner_ended() {
    in_flight_ = false;
    IdeCommandStateV1& command = state_.command;
    const PlanKind kind{command.plan};
    if (kind != PlanKind::work) dma_ended();
    if (runner_.result() != PlanRunner::Result::ok) {
        const bool write = kind != PlanKind::media_in;
        return fail(
            active_device().fail_plan(remembered(), runner_.result(), write, runner_.done()));
    }
    if (kind != PlanKind::data_out) return finish();
    const AtaPlan plan =
        active_device().take_parameters(remembered(), runner_.parameters(), runner_.work());
    if (plan.data.kind == PlanKind::failed) return fail(plan.output);
    carry_out(plan.data);
}

// Bus Master IDE Controller 1.0, 3.1: it stays active when the device has moved less than the
// table describes.
void IdeChannel::dma_ended() {
    uint8_t& status = state_.bus_master_status;
    if (prds_.used_up() && !runner_.left_over())
        status &= static_cast<uint8_t>(~ide::kBusMasterActive);
    if (runner_.result() != PlanRunner::Result::bad_memory) return;
    status &= static_cast<uint8_t>(~ide::kBusMasterActive);
    status |= ide::kBusMasterError;
}

// After a restore the command's output has to be what it was: that of a command with data is its
// input.
AtaOutput IdeChannel::output_of_command() const {
    const IdeCommandStateV1& c = state_.command;
    return {.error = 0, .device = c.device, .count = c.count, .lba = c.lba};
}

void IdeChannel::finish() {
    const bool packet = Op{state_.command.op} == Op::packet;
    const bool data = state_.command.plan != 0;
    if (packet) {
        active_drive().error = 0;
        set_packet_registers(kReasonCommand | kReasonToHost, 0);
    } else {
        show(active(), data ? output_of_command() : output_);
    }
    end_command(kStatusIdle);
    set_interrupt(true);
}

void IdeChannel::fail(const AtaOutput& output) {
    if (Op{state_.command.op} == Op::packet) {
        active_drive().error = active_device().packet_error();
        set_packet_registers(kReasonCommand | kReasonToHost, 0);
    } else {
        show(active(), output);
    }
    end_command(kStatusIdle | kStatusError);
    set_interrupt(true);
}

void IdeChannel::end_command(uint8_t status) {
    set_status(status);
    const uint8_t device = state_.command.device;
    state_.command = {};
    state_.command.device = device & kDeviceSelect;
    filled_ = 0;
}

void IdeChannel::drain() {
    // More than once: a command may have several steps.
    while (in_flight_)
        active_device().backend().drain();
}

void IdeChannel::set_dma_enabled(bool enabled) {
    if (dma_enabled_ == enabled) return;
    if (!enabled) drain();
    dma_enabled_ = enabled;
    if (enabled) start_dma();
}

}  // namespace banyan
