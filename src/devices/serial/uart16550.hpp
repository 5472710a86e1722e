// Uart16550: the PC's serial port (National Semiconductor PC16550D data sheet, June 1995).
//
// The line has no speed: a character is sent when it is written and the receiver's line falls idle
// when the last character has arrived. Two things follow. The transmitter is empty again at once,
// unless the back end has no room: then characters wait in the FIFO and THRE stays clear, as on a
// slow line. And the time-out of the receive FIFO (no character came or went for four character
// times) has passed as soon as characters have arrived that do not reach the trigger level.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "support/fixed_queue.hpp"
#include "vm/backend.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

class Uart16550 final : public Device, public PortIo, public CharClient {
public:
    struct Wiring {
        CharBackend& out;
        CharSource* source = nullptr;  // told when there is room again; may be null
        IrqLine irq;                   // behind OUT2, as the PC wires it
        uint16_t base = 0x3F8;
    };
    explicit Uart16550(const Wiring& wiring);

    std::string_view name() const override { return "uart16550"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override { return {&range_, 1}; }
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    size_t receive_room() const override;
    void on_receive(std::span<const uint8_t> bytes) override;
    void on_writable() override;

private:
    static constexpr size_t kFifoDepth = 16;
    // A received character in the low byte, its LSR error bits in the high byte.
    using ReceivedCharacter = uint16_t;

    struct State {
        uint8_t ier = 0;
        uint8_t fcr = 0;  // the bits that are kept: enable, DMA mode, trigger level
        uint8_t lcr = 0;
        uint8_t mcr = 0;
        uint8_t msr_deltas = 0;
        uint8_t scratch = 0;
        uint16_t divisor = 0;
        uint8_t line_errors =
            0;  // OE, and PE, FE, BI of the character at the top: until LSR is read
        bool thre_pending = false;  // the transmitter ran empty and IIR has not said so
        FixedQueue<ReceivedCharacter, kFifoDepth> receiver;
        FixedQueue<uint8_t, kFifoDepth> transmitter;
    };

    bool fifos_enabled() const;
    bool looped() const;
    size_t depth() const { return fifos_enabled() ? kFifoDepth : 1; }
    size_t trigger_level() const;

    uint8_t read_register(uint16_t offset);
    uint8_t read_rbr();
    uint8_t read_iir();
    uint8_t read_lsr();
    uint8_t read_msr();
    uint8_t modem_inputs() const;
    uint8_t interrupt_cause() const;

    void write_register(uint16_t offset, uint8_t value);
    void write_thr(uint8_t value);
    void write_ier(uint8_t value);
    void write_fcr(uint8_t value);
    void write_lcr(uint8_t value);
    void write_mcr(uint8_t value);

    void receive(uint8_t character, uint8_t errors);
    void show_errors_at_top();
    void transmit();
    void update_irq();
    Result<void> apply(StateReader& reader);

    // configuration
    const PortRange range_;

    // wiring
    CharBackend& out_;
    CharSource* const source_;
    const IrqLine irq_;

    // guest-visible state
    State state_;
};

}  // namespace banyan
