// Pic8259Pair: the PC's two interrupt controllers (Intel 8259A data sheet, order number 231468),
// the second behind input 2 of the first, with the edge/level registers of PCI chipsets (Intel
// 82371AB PIIX4 data sheet, section 4.2.4).
//
// Threads: inputs change from any thread, so there is a lock inside; it is held while `intr` is
// set, and a sink of `intr` must not call back. A local APIC that runs the acknowledge cycle must
// not hold its own lock meanwhile.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "support/mutex.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

struct Pic8259StateV1;

// One 8259A. Not thread-safe; Pic8259Pair holds its lock.
class Pic8259 {
public:
    static constexpr unsigned kInputs = 8;
    static constexpr unsigned kCascadeInput = 2;   // of the master, where the slave's INT comes in
    static constexpr unsigned kSpuriousInput = 7;  // whose vector is given when no request is left

    enum class Role : uint8_t { master, slave };
    Pic8259(Role role, uint8_t level_mask) : role_(role), level_mask_(level_mask) {}

    void reset();
    void save(Pic8259StateV1& state) const;
    bool restore(const Pic8259StateV1& state);

    // A0 = 0 and 1.
    uint8_t read_command();
    uint8_t read_data();
    void write_command(uint8_t value);
    void write_data(uint8_t value);
    uint8_t elcr() const { return state_.elcr; }
    void write_elcr(uint8_t value);

    void set_input(unsigned input, bool asserted);
    // The INT output.
    bool output() const { return highest_request().has_value(); }
    // The acknowledge cycle: the input that is taken, or nothing (the request went away: vector of
    // input 7).
    std::optional<unsigned> acknowledge();
    uint8_t vector(unsigned input) const {
        return static_cast<uint8_t>(state_.vector_base + input);
    }
    // Does the chip on input 2 give the vector? As ICW1 and ICW3 say.
    bool cascaded(unsigned input) const;

private:
    enum class Expect : uint8_t { ocw = 0, icw2 = 2, icw3 = 3, icw4 = 4 };

    struct State {
        Expect expect = Expect::ocw;
        uint8_t icw1 = 0;
        uint8_t vector_base = 0;
        uint8_t icw3 = 0;
        uint8_t icw4 = 0;
        uint8_t imr =
            0xFF;  // undefined after power-on; nothing may interrupt before initialization
        uint8_t isr = 0;
        uint8_t edges = 0;  // requests latched by the edge sense circuit
        uint8_t lines = 0;  // levels of the inputs
        uint8_t elcr = 0;
        uint8_t lowest_priority = 7;
        bool read_isr = false;
        bool poll = false;
        bool special_mask = false;
        bool rotate_on_auto_eoi = false;
    };

    enum class Rotate : uint8_t { no, yes };

    uint8_t irr() const;
    bool auto_eoi() const;
    bool special_fully_nested() const;
    std::optional<unsigned> highest(uint8_t requests) const;
    std::optional<unsigned> highest_request() const;
    uint8_t read_poll();
    void write_icw1(uint8_t value);
    void write_ocw2(uint8_t value);
    void write_ocw3(uint8_t value);
    std::optional<unsigned> highest_to_end() const;
    void end_of_interrupt(std::optional<unsigned> level, Rotate rotate);

    // configuration
    const Role role_;
    const uint8_t level_mask_;  // inputs that may be level-triggered

    // guest-visible state
    State state_;
};

class Pic8259Pair final : public Device, public PortIo, public IrqSink {
public:
    struct Wiring {
        IrqLine intr;  // to LINT0 of the boot processor's local APIC
    };
    explicit Pic8259Pair(const Wiring& wiring) : intr_(wiring.intr) {}

    std::string_view name() const override { return "pic8259"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    // Inputs 0..7 of the first and 8..15 of the second chip; 2 is taken by the cascade and ignored.
    void set_irq(unsigned input, bool asserted) override;

    // The CPU's interrupt acknowledge cycle: the vector. When the request went away after INTR had
    // been seen, that of a spurious interrupt (input 7 or 15). Nothing when INTR was not raised
    // since the last acknowledge.
    std::optional<uint8_t> acknowledge();
    // The level of INTR; from any thread, without the lock.
    bool pending() const { return intr_level_.load(std::memory_order_acquire); }

private:
    Result<void> apply(StateReader& reader) REQUIRES(mutex_);
    void reset_locked() REQUIRES(mutex_);
    void update() REQUIRES(mutex_);

    // wiring
    const IrqLine intr_;

    // bookkeeping
    mutable Mutex mutex_;
    std::atomic<bool> intr_level_{false};

    // sub-devices
    Pic8259 master_ GUARDED_BY(mutex_){Pic8259::Role::master, 0xF8};
    Pic8259 slave_ GUARDED_BY(mutex_){Pic8259::Role::slave, 0xDE};

    // guest-visible state
    bool intr_seen_ GUARDED_BY(mutex_) = false;  // INTR was raised since the last acknowledge
};

}  // namespace banyan
