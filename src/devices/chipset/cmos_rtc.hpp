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

#include "devices/chipset/cmos_calendar.hpp"
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
};

}  // namespace banyan
