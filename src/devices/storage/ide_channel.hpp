// IdeChannel: a parallel ATA cable with up to two devices, and the bus master's half of it
// (ATA/ATAPI-6, 7 and 9; Bus Master IDE Controller 1.0). One command at a time is carried out.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "devices/storage/ata_device.hpp"
#include "devices/storage/ide_regs.hpp"
#include "devices/storage/ide_state.hpp"
#include "devices/storage/prd_list.hpp"
#include "vm/device.hpp"
#include "vm/guest_memory.hpp"
#include "vm/irq.hpp"

namespace banyan {

class IdeChannel final : private BlockClient {
public:
    IdeChannel(GuestMemory& memory, IrqLine irq);

    // Before the guest runs; `unit` is 0 or 1.
    void attach(unsigned unit, std::unique_ptr<AtaDevice> device);

    IoStatus read_command_block(unsigned offset, unsigned size, uint32_t& value);
    IoStatus write_command_block(unsigned offset, unsigned size, uint32_t value);
    uint8_t read_alternate_status() const;
    void write_control(uint8_t value);
    IoStatus read_bus_master(unsigned offset, unsigned size, uint32_t& value) const;
    IoStatus write_bus_master(unsigned offset, unsigned size, uint32_t value);

    // PCI's bus mastering: while it is off, nothing moves by DMA.
    void set_dma_enabled(bool enabled);
    // Returns when nothing is in flight.
    void drain();

    void power_on();
    // Precondition: drained.
    IdeChannelStateV1 state() const;
    // Into a channel after power_on(). False when no channel could have saved this.
    bool restore(const IdeChannelStateV1& state);

private:
    static constexpr uint64_t kBufferSize = 0x8000;

    unsigned selected() const { return (state_.device & ata::kDeviceSelect) != 0 ? 1 : 0; }
    AtaDevice* device() const { return devices_[selected()].get(); }
    IdeDriveStateV1& drive() { return state_.drives[selected()]; }
    const IdeDriveStateV1& drive() const { return state_.drives[selected()]; }
    // The device whose command is not over.
    unsigned active() const { return (state_.command.device & ata::kDeviceSelect) != 0 ? 1 : 0; }
    AtaDevice& active_device() const { return *devices_[active()]; }
    IdeDriveStateV1& active_drive() { return state_.drives[active()]; }
    bool idle() const { return state_.command.phase == IdePhase::idle && !in_flight_; }

    // registers
    uint8_t read_register(ide::Command reg);
    void write_register(ide::Command reg, uint8_t value);
    void write_shifted(std::array<uint8_t, 2> IdeDriveStateV1::*reg, uint8_t value);
    void write_bus_master_byte(ide::BusMaster reg, uint8_t value);
    bool command_possible(const IdeCommandStateV1& command) const;
    static bool dma_possible(const IdeCommandStateV1& command, const AtaDevice& device, bool media);
    uint8_t read_data_byte();
    void write_data_byte(uint8_t value);
    void abandon_command();
    void reset_devices();
    void show_signature(unsigned unit);
    void soft_reset();
    void set_interrupt(bool pending);
    void show(unsigned unit, const AtaOutput& output);
    void set_status(uint8_t status) { active_drive().status = status; }
    void set_packet_registers(uint8_t reason, uint16_t byte_count);

    // commands
    void start_command(uint8_t op);
    AtaCommand command_of(uint8_t op) const;
    void remember(const AtaCommand& command);
    AtaCommand remembered() const;
    void begin(const AtaPlan& plan);
    void begin_packet();
    void packet_received();
    void carry_out(const DataPlan& plan);
    void begin_data(const DataPlan& plan);
    void run_work(const DataPlan& plan);
    void finish();
    void fail(const AtaOutput& output);
    AtaOutput output_of_command() const;
    void end_command(uint8_t status);
    void on_block_complete(uint64_t cookie, BlockStatus status) override;

    // PIO
    void load(std::span<const std::byte> bytes);
    void fill_buffer();
    void offer_chunk();
    void chunk_read();
    void request_chunk();
    void chunk_written();
    void medium_done(BlockStatus status);
    void submit(BlockRequest::Kind kind, uint64_t length);

    // DMA
    void start_dma();
    void runner_ended();
    void dma_ended();

    // wiring
    IrqLine irq_;
    std::array<std::unique_ptr<AtaDevice>, 2> devices_;
    // bookkeeping
    PlanRunner runner_;
    PrdList prds_;
    AtaOutput output_;  // of the command, when it has succeeded
    bool dma_enabled_ = false;
    bool in_flight_ = false;
    BlockRequest::Kind request_ = BlockRequest::Kind::read;
    std::array<std::span<std::byte>, 1> request_buffer_;
    std::vector<std::byte> buffer_;
    uint64_t filled_ = 0;
    // guest-visible state; the devices' and the buffer are filled in when it is saved
    IdeChannelStateV1 state_;
};

}  // namespace banyan
