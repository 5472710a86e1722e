// Interrupt wires and message-signalled interrupts, as devices see them.
#pragma once

#include <cstdint>
#include <optional>

namespace banyan {

// The controller's end of wires. Called from any thread; idempotent for an unchanged level.
class IrqSink {
public:
    virtual void set_irq(unsigned input, bool asserted) = 0;

protected:
    ~IrqSink() = default;
};

// One wire into an interrupt controller. A default-made line is not connected. Copyable: copies are
// the same wire; a wire shared by several devices needs a combining sink of the board.
class IrqLine {
public:
    IrqLine() = default;
    IrqLine(IrqSink& sink, unsigned input) : sink_(&sink), input_(input) {}

    void set(bool asserted) const {
        if (sink_ != nullptr) sink_->set_irq(input_, asserted);
    }
    void assert_line() const { set(true); }
    void deassert() const { set(false); }
    // For edge-triggered inputs.
    void pulse() const {
        set(true);
        set(false);
    }

    // For the sink that made the line.
    unsigned input() const { return input_; }

private:
    IrqSink* sink_ = nullptr;
    unsigned input_ = 0;
};

// A message-signalled interrupt: a write of `data` to `address` (Intel SDM vol. 3, section 11.11
// "Message Signalled Interrupts").
struct MsiMessage {
    uint64_t address = 0;
    uint32_t data = 0;
    friend bool operator==(const MsiMessage&, const MsiMessage&) = default;
};

class MsiSink {
public:
    // From any thread. Messages that address no CPU vanish, as on hardware.
    virtual void send_msi(const MsiMessage& message) = 0;

protected:
    ~MsiSink() = default;
};

// Told of the end of every level-triggered interrupt (Intel SDM vol. 3, section 11.8.5), from any
// thread.
class EoiListener {
public:
    virtual void end_of_interrupt(uint8_t vector) = 0;

protected:
    ~EoiListener() = default;
};

// Told, whenever it changes, what an input of the IO-APIC sends as level-triggered: for local APICs
// that report ends of interrupts only where they know that somebody waits for them.
class LevelRoutes {
public:
    // Nothing: the input is edge-triggered. With the IO-APIC's lock held.
    virtual void set_level_route(unsigned input, const std::optional<MsiMessage>& message) = 0;

protected:
    ~LevelRoutes() = default;
};

// The interrupt acknowledge cycle of the 8259 pair, as a local APIC runs it for an interrupt in
// delivery mode ExtINT. Called without any lock of a local APIC held.
class ExtIntSource {
public:
    // The level of INTR. From any thread.
    virtual bool pending() const = 0;
    // The vector, or nothing when INTR was not raised since the last acknowledge.
    virtual std::optional<uint8_t> acknowledge() = 0;

protected:
    ~ExtIntSource() = default;
};

}  // namespace banyan
