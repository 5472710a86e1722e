// AcpiPm: the fixed hardware of ACPI (ACPI specification 6.4, section 4.8), at the places that the
// board's FADT names, with the SMI command port and the reset register.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"
#include "vm/machine_control.hpp"

namespace banyan {

class AcpiPm final : public Device, public PortIo, public TimerClient {
public:
    // For the FADT and the DSDT.
    static constexpr uint16_t kPm1EventPort = 0x600;    // 4 bytes: status, enable
    static constexpr uint16_t kPm1ControlPort = 0x604;  // 2 bytes
    static constexpr uint16_t kPmTimerPort = 0x608;     // 4 bytes
    static constexpr uint16_t kGpe0Port = 0x620;        // 4 bytes: status (2), enable (2)
    static constexpr uint16_t kSmiEnablePort = 0x630;   // 4 bytes
    // All of these, where a chipset can move them, and what stays.
    static constexpr PortRange kMovablePorts{kPm1EventPort, 0x80};
    static std::span<const PortRange> fixed_ports();
    static constexpr uint16_t kSmiCommandPort = 0xB2;
    static constexpr uint8_t kAcpiEnable = 2;
    static constexpr uint8_t kAcpiDisable = 3;
    static constexpr uint16_t kResetPort = 0xCF9;
    static constexpr uint8_t kResetValue = 0x06;
    static constexpr uint8_t kSleepTypeS5 = 5;  // the value of \_S5 in the DSDT
    static constexpr uint64_t kPmTimerHz = 3'579'545;

    struct Wiring {
        const Clock& clock;
        TimerService& timers;
        IrqLine sci;  // level-triggered
        MachineControl& machine;
    };
    explicit AcpiPm(const Wiring& wiring);

    // The user presses the power button. With the device's lock held.
    void press_power_button();
    // A general-purpose event 0..15 happens (GPE0_STS bit). With the device's lock held.
    void raise_general_event(unsigned index);

    std::string_view name() const override { return "acpi_pm"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    void on_timer(unsigned cookie) override;

private:
    struct State {
        uint16_t status = 0;
        uint16_t enable = 0;
        uint16_t control = 0;  // SCI_EN, BM_RLD and SLP_TYP
        uint16_t gpe_status = 0;
        uint16_t gpe_enable = 0;
        uint8_t smi_command = 0;
        uint8_t smi_data = 0;
        uint8_t reset_control = 0;
        uint64_t seen_half = 0;  // half periods of the PM timer that TMR_STS already tells of
    };

    uint64_t timer_count() const;
    bool read_byte(uint16_t port, uint8_t& value);
    bool write_byte(uint16_t port, uint8_t value);
    void write_control_high(uint8_t value);
    void write_smi_command(uint8_t value);
    void write_reset_control(uint8_t value);
    void update_timer_status();
    void update_sci();
    Result<void> apply(StateReader& reader);

    // wiring
    const Clock& clock_;
    const IrqLine sci_;
    MachineControl& machine_;
    const std::unique_ptr<Timer> timer_;

    // guest-visible state
    State state_;
};

}  // namespace banyan
