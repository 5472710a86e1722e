// I6300Esb: the watchdog timer of Intel's 6300ESB I/O controller hub (data sheet 300641, chapter
// 16). When its second stage ends, the machine is reset or powered off, as the user chose; that the
// first has ended shows in a register, and raises no interrupt.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "devices/pci/pci_function.hpp"
#include "devices/watchdog/i6300esb_regs.hpp"
#include "vm/clock.hpp"
#include "vm/machine_control.hpp"

namespace banyan {

struct I6300EsbStateV1;

class I6300Esb final : public PciFunction, private MmioIo, private TimerClient {
public:
    struct Wiring {
        PciBarMapper& mapper;
        const Clock& clock;
        TimerService& timers;
        MachineControl& machine;
    };
    // `action` is what a time-out asks the machine for.
    I6300Esb(MachineEvent action, const Wiring& wiring);

    std::string_view name() const override { return "i6300esb"; }
    // That it has timed out is remembered: by this a guest learns why it was started.
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

private:
    // Of the sequence that lets one write through.
    enum class Unlock : uint8_t { locked = 0, half = 1, open = 2 };

    struct State {
        esb::Lock lock;  // also in configuration space
        std::array<uint32_t, 2> preload{esb::kPreloadMask, esb::kPreloadMask};
        bool interrupt = false;
        bool timed_out = false;
        Unlock unlock = Unlock::locked;
        uint8_t stage = 0;      // 0: stopped
        uint64_t deadline = 0;  // of the stage
    };

    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;
    void write_reload(uint32_t value);
    void on_config_written(uint16_t offset, unsigned size) override;
    void on_timer(unsigned cookie) override;
    esb::Configuration configuration() const;
    void start_stage(uint8_t stage);
    void stop();
    void time_out();
    Result<void> apply(StateReader& reader);

    // configuration
    const MachineEvent action_;
    // wiring
    const Clock& clock_;
    MachineControl& machine_;
    const std::unique_ptr<Timer> timer_;
    // guest-visible state
    State state_;
};

}  // namespace banyan
