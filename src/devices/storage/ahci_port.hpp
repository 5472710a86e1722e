// AhciPort: one port of an AHCI controller with the device behind it (AHCI 1.3.1, 3.3 and 5).
//
// Queued commands run side by side; any other one alone, when nothing else is in flight. After an
// error the port stands still until the driver takes PxCMD.ST away (6.2.2).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "devices/storage/ahci_regs.hpp"
#include "devices/storage/ahci_state.hpp"
#include "devices/storage/ata_device.hpp"
#include "devices/storage/prd_list.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

// The controller's side of its ports.
class AhciPortHost {
public:
    // A bit was set in PxIS, or PxIE was written: there may be an interrupt to tell of.
    virtual void port_event() = 0;
    // Bits were cleared in PxIS.
    virtual void port_cleared() = 0;
    // Calls run() of all ports soon, but not from within this call.
    virtual void run_later() = 0;

protected:
    ~AhciPortHost() = default;
};

class AhciPort final : private BlockClient {
public:
    AhciPort(GuestMemory& memory, AhciPortHost& host);

    // Before the guest runs.
    void attach(std::unique_ptr<AtaDevice> device);
    bool has_device() const { return device_ != nullptr; }

    uint32_t read(ahci::Port reg) const;
    void write(ahci::Port reg, uint32_t value);
    bool interrupt_pending() const {
        return (state_.interrupt_status & state_.interrupt_enable) != 0;
    }
    // Begins what is in PxCI, as far as it can.
    void run();
    // Bus mastering: while it is off, nothing begins and memory is left alone.
    void set_dma_enabled(bool enabled);
    // Returns when nothing is in flight; what is in PxCI and had not begun waits.
    void drain();

    // GHC.HR.
    void reset();
    void power_on();
    // Precondition: drained.
    AhciPortStateV1 state() const;
    bool restore(const AhciPortStateV1& state);

private:
    using Fis = std::array<uint8_t, 20>;

    // A command that is carried out.
    struct Slot {
        explicit Slot(GuestMemory& memory) : runner(memory), prds(memory, PrdFormat::ahci) {}
        PlanRunner runner;
        PrdList prds;
        AtaCommand command;
        AtaPlan plan;
        bool busy = false;
        bool dropped = false;  // an error has ended it: it completes, but nobody is told
        std::array<uint8_t, ahci::kCommandPacketSize> packet{};
        Gpa header;
    };

    // registers
    void write_command(uint32_t value);
    void write_link_control(uint32_t value);
    void start_list();
    void stop_list();
    void begin_link_reset();
    void end_link_reset();
    void deliver_signature();

    // commands
    bool may_run() const;
    int next_slot() const;
    bool issue(unsigned index);
    bool read_command(unsigned index, Slot& slot, Fis& fis);
    void control_fis(unsigned index, uint8_t control);
    void begin(unsigned index, Slot& slot);
    void carry_out(unsigned index, Slot& slot);
    void on_block_complete(uint64_t cookie, BlockStatus status) override;
    void plan_ended(unsigned index, Slot& slot);
    void finish(unsigned index, Slot& slot);
    void finish_queued(Slot& slot);
    void fail(Slot& slot);
    void fail_queued(Slot& slot);
    void halt(uint32_t reason);
    void release(Slot& slot);
    bool is_queued(const Slot& slot) const { return slot.plan.protocol == AtaProtocol::queued; }
    static unsigned tag_of(const Slot& slot) { return slot.command.count >> 3 & 31U; }

    // FISes
    void receive_register_fis(uint8_t status, const AtaOutput& output);
    void receive_pio_setup(const Slot& slot);
    void receive_set_device_bits(uint8_t status, uint8_t error, uint32_t completed);
    bool store_fis(uint64_t offset, std::span<const uint8_t> fis);
    void set_task_file(uint8_t status, uint8_t error);
    void raise(uint32_t interrupts);

    // wiring
    GuestMemory& memory_;
    AhciPortHost& host_;
    std::unique_ptr<AtaDevice> device_;
    // bookkeeping
    std::vector<Slot> slots_;
    unsigned in_flight_ = 0;
    bool exclusive_ = false;  // a command that is not queued is in flight
    bool running_ = false;
    bool draining_ = false;
    bool dma_enabled_ = false;
    // guest-visible state; `device` in it is filled in when it is saved
    AhciPortStateV1 state_;
};

}  // namespace banyan
