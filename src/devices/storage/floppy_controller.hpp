// FloppyController: the floppy disk controller of a PC (Intel 82077AA data sheet, order number
// 290166), as in PC AT mode, with up to two drives.
//
// Sectors go through a buffer between the backend and the DMA channel, or the FIFO port in non-DMA
// mode. Turning disks cost no time: a drive's motor and the time to find a sector are not modelled;
// seeks take as long as a step. The SCAN commands are not there.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "devices/storage/floppy_drive.hpp"
#include "devices/storage/floppy_regs.hpp"
#include "vm/backend.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/dma.hpp"
#include "vm/irq.hpp"

namespace banyan {

struct FloppyControllerStateV1;

class FloppyController final : public Device,
                               public PortIo,
                               public TimerClient,
                               private BlockClient {
public:
    static constexpr uint16_t kBase = 0x3F0;
    static constexpr unsigned kMaxDrives = 2;

    struct Wiring {
        const Clock& clock;
        TimerService& timers;
        IrqLine irq6;
        DmaLine dma;  // channel 2
    };
    explicit FloppyController(const Wiring& wiring);

    // While the board is built: a drive 0 or 1 with a disk of a format's size.
    void insert(unsigned drive, BlockBackend& disk) { drives_[drive].insert(disk); }
    // Byte 10h of the CMOS memory: the type of drive A in the high half, of B in the low.
    uint8_t cmos_drive_types() const;

    std::string_view name() const override { return "floppy"; }
    void reset() override;
    void drain() const override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    void on_timer(unsigned cookie) override;

private:
    static constexpr unsigned kSelectable = 4;  // drives that commands can name
    static constexpr size_t kLongestCommand = 9;
    static constexpr size_t kLongestResult = 10;

    enum class Phase : uint8_t {
        command = 0,    // takes the bytes of a command
        to_host = 1,    // a sector goes to the host
        from_host = 2,  // a sector comes, or the IDs of FORMAT
        disk = 3,       // waits for the backend
        result = 4,     // gives the bytes of the result
    };
    // What a command asks of the sectors that it passes.
    enum class Work : uint8_t { read, write, verify, format };

    struct DriveState {
        uint8_t present_cylinder = 0;  // PCN: where the controller believes the head to be
        bool seeking = false;
        bool sense_waits = false;  // SENSE INTERRUPT STATUS has something to tell
        uint8_t sense = 0;         // ST0 of it
    };
    struct State {
        std::array<DriveState, kSelectable> drives{};
        uint8_t output = 0;  // DOR
        uint8_t tape = 0;
        uint8_t rate = 2;
        Phase phase = Phase::command;
        bool interrupt = false;      // INT is wanted
        bool reset_pending = false;  // the interrupt of a reset is yet to come
        std::array<uint8_t, kLongestCommand> command{};
        uint8_t command_length = 0;  // so many bytes have come
        std::array<uint8_t, kLongestResult> result{};
        uint8_t result_length = 0;
        uint8_t result_at = 0;
        std::array<uint8_t, 2> specify{};
        std::array<uint8_t, 2> configure{};  // EIS, EFIFO, POLL, FIFOTHR; PRETRK
        uint8_t perpendicular = 0;
        bool locked = false;
        uint8_t end_of_track = 0;  // EOT or SC of the last command that had one
        // of the command in execution
        uint8_t cylinder = 0;
        uint8_t head = 0;
        uint8_t sector = 0;
        uint8_t left = 0;  // sectors of FORMAT and VERIFY that are to come; VERIFY: 0 is no limit
        uint16_t at = 0;   // byte of the buffer that moves next
        uint16_t length = 0;
        bool terminal_count = false;
        std::array<std::byte, FloppyDrive::kSector> buffer{};
    };

    // registers: floppy_controller.cpp
    uint8_t main_status() const;
    uint8_t read_fifo();
    void write_fifo(uint8_t value);
    void write_output(uint8_t value);
    void write_rate(uint8_t value);
    uint8_t digital_input() const;
    void enter_reset();
    void leave_reset();
    void update_irq();
    void interrupt(bool wanted);
    void arm_timer(uint64_t ns);
    bool in_reset() const { return (state_.output & fdc::dor::kNotReset) == 0; }
    bool dma_mode() const { return (state_.specify[1] & fdc::kNonDma) == 0; }

    // commands: floppy_commands.cpp
    fdc::Command command() const;
    uint8_t code(unsigned index) const { return state_.command[index]; }
    unsigned drive_number() const { return code(1) & 3U; }
    FloppyDrive* drive();
    static unsigned command_length(uint8_t first);
    void execute();
    void finish_command(std::span<const uint8_t> result);
    void specify();
    void sense_drive_status();
    void sense_interrupt();
    void recalibrate();
    void seek();
    void start_seek(unsigned number, unsigned cylinder);
    void finish_seeks();
    void tell_of_reset();
    void dump_registers();
    void configure();
    void perpendicular();
    void read_id();

    // transfers: floppy_transfer.cpp
    Work work() const;
    void start_transfer();
    void start_format();
    void next_sector();
    bool find_sector(FloppyDrive& drive, uint64_t& offset);
    bool readable(const FloppyDrive& drive) const;
    void submit(BlockRequest::Kind kind, FloppyDrive& drive, uint64_t offset);
    void on_block_complete(uint64_t cookie, BlockStatus status) override;
    void host_transfer();
    void move_by_dma();
    void buffer_done();
    void format_sector();
    void sector_done();
    void step_sector();
    void finish_transfer(uint8_t st0, uint8_t st1 = 0, uint8_t st2 = 0);

    void store(FloppyControllerStateV1& saved) const;
    Result<void> apply(StateReader& reader);
    void load(const FloppyControllerStateV1& saved);

    // wiring
    const Clock& clock_;
    const IrqLine irq_;
    const DmaLine dma_;
    const std::unique_ptr<Timer> timer_;

    // sub-devices
    std::array<FloppyDrive, kMaxDrives> drives_;

    // bookkeeping
    std::span<std::byte> buffer_span_;  // what a request's scatter list points to
    BlockBackend* busy_ = nullptr;      // has a request in flight
    bool moving_ = false;               // bytes are being moved by DMA

    // guest-visible state
    State state_;
};

}  // namespace banyan
