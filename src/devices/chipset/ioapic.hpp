// IoApic: interrupt inputs turned into messages (Intel 82093AA data sheet, order number 290566),
// with the EOI register of version 20H (Intel ICH9 data sheet, section 13.5.7).
//
// Wires carry "asserted" or not: the polarity bit is kept for the guest and not interpreted.
//
// Threads: inputs and ends of interrupts come from any thread, so there is a lock inside; it is
// held while a message is sent.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "devices/chipset/apic_bus.hpp"
#include "devices/chipset/ioapic_regs.hpp"
#include "support/mutex.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

class IoApic final : public Device, public MmioIo, public IrqSink, public EoiListener {
public:
    static constexpr unsigned kInputs = 24;
    static constexpr uint64_t kMmioSize = 0x1000;

    struct Wiring {
        MsiSink& msi;  // the ApicBus; the board also adds this IO-APIC to it as a listener
        uint8_t id = 0;
        LevelRoutes* routes = nullptr;  // null: nobody has to know them
    };
    explicit IoApic(const Wiring& wiring);

    std::string_view name() const override { return "ioapic"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    MmioIo* mmio() override { return this; }
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

    void set_irq(unsigned input, bool asserted) override;
    void end_of_interrupt(uint8_t vector) override;

private:
    struct State {
        uint8_t id = 0;
        uint8_t select = 0;
        uint32_t inputs = 0;  // the wires' levels
        std::array<Rte, kInputs> table{};
    };

    struct EntryHalf {
        unsigned input = 0;
        bool high = false;
    };

    void reset_locked() REQUIRES(mutex_);
    Result<void> apply(StateReader& reader) REQUIRES(mutex_);
    uint32_t read_window() const REQUIRES(mutex_);
    void write_window(uint32_t value) REQUIRES(mutex_);
    // What IOREGSEL selects of the redirection table.
    std::optional<EntryHalf> selected_half() const REQUIRES(mutex_);
    void write_entry(EntryHalf half, uint32_t value) REQUIRES(mutex_);
    void deliver_level(unsigned input) REQUIRES(mutex_);
    void send(const Rte& entry) REQUIRES(mutex_);
    void tell_route(unsigned input) REQUIRES(mutex_);
    void tell_all_routes() REQUIRES(mutex_);
    void end_locked(uint8_t vector) REQUIRES(mutex_);

    // configuration
    const uint8_t power_on_id_;

    // wiring
    MsiSink& msi_;
    LevelRoutes* const routes_;

    // bookkeeping
    mutable Mutex mutex_;

    // guest-visible state
    State state_ GUARDED_BY(mutex_);
};

}  // namespace banyan
