// Pit8254: the PC's interval timer (Intel 82C54 data sheet, order number 231244) and port 61h,
// which holds the gate and the output of counter 2.
//
// Counters are computed from guest time when they are looked at; only counter 0 needs a timer, for
// its interrupt. The wire follows counter 0's output where that matters: it rises when the output
// rises. It need not fall in time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "devices/chipset/pit8254_counter.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

class Pit8254 final : public Device, public PortIo, public TimerClient {
public:
    static constexpr uint64_t kHz = 1'193'182;
    // Counter 0 interrupts at most this often; of a faster one the guest gets every n-th edge.
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
    struct State {
        std::array<PitCounter, 3> counters{PitCounter(true), PitCounter(true), PitCounter(false)};
        uint8_t port61 = 0;                // the writable bits
        std::optional<int64_t> edge_tick;  // the rising edge of counter 0 that comes next
    };

    int64_t now() const;
    uint8_t read_port61();
    void write_port61(uint8_t value);
    void write_control(uint8_t value);
    void read_back(uint8_t command);
    void follow_output();
    void await_next_edge();
    void arm_timer();
    Result<void> apply(StateReader& reader);

    // wiring
    const Clock& clock_;
    const IrqLine irq0_;
    const std::unique_ptr<Timer> timer_;

    // bookkeeping
    int64_t earliest_edge_ = 0;  // no interrupt before this tick

    // guest-visible state
    State state_;
};

}  // namespace banyan
