// Pit8254: the PC's interval timer (Intel 82C54 data sheet, order number 231244) and port 61h,
// which holds the gate and the output of counter 2.
//
// Counters are computed from guest time when they are looked at; only counter 0 needs a timer, for
// its interrupt.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "devices/chipset/pit8254_counter.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

class Pit8254 final : public Device, public PortIo, public TimerClient {
public:
    // Counter 0 interrupts at most this often; a guest that programs less gets every n-th.
    static constexpr uint64_t kMinInterruptPeriodNs = 100'000;

    struct Wiring {
        const Clock& clock;
        TimerService& timers;
        IrqLine irq0;
    };
    explicit Pit8254(const Wiring& wiring);

    std::string_view name() const override { return "pit8254"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    void on_timer(unsigned cookie) override;

private:
    int64_t now() const;
    uint8_t read_port61() const;
    void write_port61(uint8_t value);
    void write_control(uint8_t value);
    void read_back(uint8_t command);
    // Sets the wire as counter 0's output is, and arms the timer for its next rising edge.
    void follow_output();
    void arm_next_edge();

    // wiring
    const Clock& clock_;
    const IrqLine irq0_;
    const std::unique_ptr<Timer> timer_;

    // bookkeeping
    bool edge_armed_ = false;
    int64_t edge_tick_ = 0;  // of the rising edge that the timer waits for

    // guest-visible state
    std::array<PitCounter, 3> counters_;
    uint8_t port61_ = 0;  // the writable bits
};

}  // namespace banyan
