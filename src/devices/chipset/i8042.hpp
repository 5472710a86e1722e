// I8042: the PC's keyboard controller, with an AT keyboard on which nobody types and no mouse, and
// port 92h (fast A20 and reset). The keyboard is there because drivers wait for a missing one.
#pragma once

#include <cstdint>
#include <span>

#include "devices/chipset/i8042_keyboard.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"
#include "vm/machine_control.hpp"

namespace banyan {

class I8042 final : public Device, public PortIo {
public:
    struct Wiring {
        IrqLine keyboard;  // IRQ 1
        IrqLine mouse;     // IRQ 12
        MachineControl& machine;
    };
    explicit I8042(const Wiring& wiring);

    std::string_view name() const override { return "i8042"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;
};

}  // namespace banyan
