// I8042: the PC's keyboard controller, with an AT keyboard and a PS/2 mouse, and port 92h (fast A20
// and reset).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "devices/chipset/i8042_keyboard.hpp"
#include "devices/chipset/i8042_mouse.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/input.hpp"
#include "vm/irq.hpp"
#include "vm/machine_control.hpp"

namespace banyan {

class I8042 final : public Device, public PortIo, public InputSink, public TimerClient {
public:
    struct Wiring {
        IrqLine keyboard;  // IRQ 1
        IrqLine mouse;     // IRQ 12
        MachineControl& machine;
        const Clock& clock;
        TimerService& timers;
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

    void key(KeyCode key, bool pressed) override;
    void pointer(const PointerEvent& event) override;
    bool ready_for_key() const override { return keyboard_.ready_for_key(); }
    void on_timer(unsigned cookie) override;

private:
    enum class Source : uint8_t { keyboard, mouse };

    struct State {
        std::array<uint8_t, 32> ram{kCommandByteOfFirmware};  // [0]: the command byte
        uint8_t command = 0;        // that waits for its parameter; 0: none
        bool command_last = false;  // the last write was a command
        uint8_t output = 0;
        bool output_full = false;
        Source output_source = Source::keyboard;
        bool a20 = true;
        uint8_t port92 = kPort92OfFirmware;
        bool break_pending = false;  // translation: F0h came, the key comes next
    };
    // Interrupt, system flag and translation on, mouse port off.
    static constexpr uint8_t kCommandByteOfFirmware = 0x65;
    static constexpr uint8_t kPort92OfFirmware = 0x02;

    uint8_t mode() const { return state_.ram[0]; }
    uint8_t read_status() const;
    uint8_t read_data();
    uint8_t read_output_port() const;
    void write_command(uint8_t command);
    void write_data(uint8_t value);
    void write_parameter(uint8_t command, uint8_t value);
    void write_output_port(uint8_t value);
    void write_to_mouse(uint8_t value);
    void write_port92(uint8_t value);
    void set_mode_bit(uint8_t bit, bool on);
    void reply(uint8_t value, Source source = Source::keyboard);
    void fetch();
    void fetch_from_keyboard();
    std::optional<uint8_t> translate(uint8_t byte);
    void after_input();
    void arm_timer();
    void update_irqs();
    Result<void> apply(StateReader& reader);

    // wiring
    const IrqLine keyboard_irq_;
    const IrqLine mouse_irq_;
    MachineControl& machine_;
    const Clock& clock_;
    const std::unique_ptr<Timer> timer_;

    // guest-visible state
    State state_;
    AtKeyboard keyboard_;
    Ps2Mouse mouse_;
};

}  // namespace banyan
