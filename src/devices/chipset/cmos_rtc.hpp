// CmosRtc: the PC's real-time clock and its battery-backed memory (Motorola MC146818A data sheet;
// century byte at 32h).
//
// The calendar runs on Clock::wall_ns() plus what the guest set; it is computed when it is read.
// Memory and calendar are held by a battery: reset() leaves them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "devices/chipset/cmos_rtc_calendar.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

class CmosRtc final : public Device, public PortIo, public TimerClient {
public:
    static constexpr unsigned kBytes = 128;

    struct Wiring {
        const Clock& clock;
        TimerService& timers;
        IrqLine irq8;
    };
    explicit CmosRtc(const Wiring& wiring);

    // What the firmware's set-up leaves in a byte of the memory (equipment, memory size, ...), for
    // indexes 0Eh and up.
    void set_byte(uint8_t index, uint8_t value);

    std::string_view name() const override { return "cmos_rtc"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    void on_timer(unsigned cookie) override;

private:
    // The time registers run from the wall clock:
    //   seconds = floor((wall + phase) / 1 s) + second_shift
    struct State {
        uint8_t index = 0;
        uint8_t a = 0x26;   // 32.768 kHz, 1024 periodic interrupts a second
        uint8_t b = 0x02;   // BCD, 24 hours
        uint8_t flags = 0;  // of register C
        CmosAlarm alarm;
        CmosTimeRegisters halted;    // the time registers while updates are halted
        unsigned weekday_shift = 0;  // a guest may count weekdays as it likes
        int64_t second_shift = 0;
        uint32_t phase_ns = 0;    // of the divider
        int64_t seen_second = 0;  // up to here the flags UF and AF are computed
        uint64_t seen_tick = 0;   // of 32.768 kHz: up to here PF is
        std::array<uint8_t, kBytes> memory{};
    };
    struct Time {
        int64_t seconds = 0;
        uint32_t ns = 0;  // of the next second
    };

    bool divider_runs() const;
    bool updates_run() const;
    CmosTimeFormat format() const;
    uint64_t ticks() const;
    uint64_t periodic_ticks() const;
    Time time() const;
    CmosTimeRegisters time_registers() const;
    void set_time(const CmosTimeRegisters& registers);

    uint8_t read_register(uint8_t index);
    uint8_t read_a() const;
    uint8_t read_c();
    void write_register(uint8_t index, uint8_t value);
    void write_time(unsigned which, uint8_t value);
    void write_a(uint8_t value);
    void write_b(uint8_t value);
    void halt_or_go_on(const CmosTimeRegisters& registers, bool updates_ran);

    void update_flags();
    void update_calendar_flags();
    void update_irq();
    uint64_t ns_until_next_event() const;
    void arm_timer();
    Result<void> apply(StateReader& reader);

    // wiring
    const Clock& clock_;
    const IrqLine irq_;
    const std::unique_ptr<Timer> timer_;

    // guest-visible state
    State state_;
};

}  // namespace banyan
