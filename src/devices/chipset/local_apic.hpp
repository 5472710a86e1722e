// LocalApic: a processor's interrupt controller, in xAPIC mode (memory range) and x2APIC mode
// (MSRs): Intel SDM vol. 3, chapter 11 (10 in older editions).
//
// Choices where processors differ: the APIC id is read only; six LVT entries; EOI broadcasts can
// be suppressed; wires carry "asserted" or not, so polarity bits are kept and not interpreted;
// interrupt messages are accepted at once, so delivery status bits read 0.
//
// Threads: everything but the CpuInterrupts functions and the register accesses, which belong to
// the vCPU's own thread, may come from any thread. There is a lock inside; it is never held while
// the bus, the vCPU's signals or the 8259s are called.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "devices/chipset/apic_bus.hpp"
#include "devices/chipset/local_apic_pv_eoi.hpp"
#include "devices/chipset/local_apic_regs.hpp"
#include "devices/chipset/local_apic_timer.hpp"
#include "devices/chipset/local_apic_vectors.hpp"
#include "support/mutex.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/engine.hpp"
#include "vm/guest_memory.hpp"
#include "vm/irq.hpp"

namespace banyan {

// What senders of messages look at, in one word that is read without the lock.
struct ApicSummary : Reg<uint32_t> {
    using Enabled = Field<ApicSummary, 31, 31, bool>;  // IA32_APIC_BASE
    using X2Apic = Field<ApicSummary, 30, 30, bool>;
    using SoftwareEnabled = Field<ApicSummary, 29, 29, bool>;  // SVR
    using Flat = Field<ApicSummary, 28, 28, bool>;             // DFR
    using Priority = Field<ApicSummary, 15, 8, uint8_t>;       // PPR
    using LogicalId = Field<ApicSummary, 7, 0, uint8_t>;       // LDR in xAPIC mode
};

class LocalApic final : public Device,
                        public MmioIo,
                        public IrqSink,
                        public CpuInterrupts,
                        public TimerClient {
public:
    static constexpr uint64_t kMmioSize = 0x1000;
    // Inputs of set_irq(). The 8259s' INTR is wired to LINT0 of the boot processor.
    static constexpr unsigned kLint0 = 0;
    static constexpr unsigned kLint1 = 1;

    struct Wiring {
        unsigned id = 0;  // APIC id; also in the device's name
        bool boot_processor = false;
        const Clock& clock;
        TimerService& timers;
        VcpuSignals& signals;
        ApicBus& bus;         // this APIC adds itself
        GuestMemory& memory;  // for the paravirtual EOI
        ExtIntSource* ext_int = nullptr;
        unsigned physical_address_bits = 52;  // of CPUID leaf 8000'0008H: checked in IA32_APIC_BASE
    };
    explicit LocalApic(const Wiring& wiring);
    ~LocalApic() override;
    LocalApic(const LocalApic&) = delete;
    LocalApic& operator=(const LocalApic&) = delete;

    unsigned id() const { return id_; }
    ApicSummary summary() const { return {summary_.load(std::memory_order_relaxed)}; }

    // Is the address inside this processor's register page now? Never in x2APIC mode. From any
    // thread, without the lock.
    bool claims(Gpa gpa) const {
        const uint64_t page = mmio_page_.load(std::memory_order_relaxed);
        return (gpa.value & ~(kMmioSize - 1)) == page;
    }

    // What firmware leaves behind, for boards that start a kernel without one: the APIC enabled,
    // LINT0 as ExtINT on the boot processor, LINT1 as NMI (MultiProcessor Specification 1.4,
    // section 3.6.2.1 "Virtual Wire Mode" and appendix A).
    void set_virtual_wire_mode();

    // Before vCPUs run, for boards that make the 8259s after the APICs.
    void set_ext_int_source(ExtIntSource* source) { ext_int_ = source; }

    // From the bus: a message that is addressed to this APIC.
    void accept(const ApicInterrupt& interrupt);

    void set_irq(unsigned input, bool asserted) override;

    std::string_view name() const override { return {name_.data(), name_length_}; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    MmioIo* mmio() override { return this; }
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

    bool interrupt_pending() const override { return deliverable_.load(std::memory_order_acquire); }
    std::optional<uint8_t> acknowledge_interrupt() override;
    uint8_t read_cr8() const override;
    void write_cr8(uint8_t priority) override;
    bool read_apic_msr(uint32_t index, uint64_t& value) override;
    bool write_apic_msr(uint32_t index, uint64_t value) override;
    bool set_pv_eoi(uint64_t msr) override;
    uint64_t pv_eoi() const override;
    void set_tsc_offset(uint64_t offset) override;

    void on_timer(unsigned cookie) override;

private:
    static constexpr uint64_t kNoPage = ~uint64_t{0};  // not a multiple of the page size

    // What is to be told to others once the lock is released.
    struct Outbox {
        bool interrupt = false;
        bool nmi = false;
        bool smi = false;
        bool init = false;
        std::optional<uint8_t> start_up;
        std::optional<uint8_t> eoi;
        struct Ipi {
            ApicInterrupt interrupt;
            ApicDestination destination;
        };
        std::optional<Ipi> ipi;
    };

    struct State {
        ApicBase base;
        uint8_t tpr = 0;
        uint8_t ldr = 0;  // xAPIC mode
        uint32_t dfr = 0;
        Svr svr;
        uint8_t esr = 0;     // as of the last write to it
        uint8_t errors = 0;  // found since
        Icr icr;
        std::array<Lvt, kLvtCount> lvt{};
        VectorSet irr;
        VectorSet isr;
        VectorSet tmr;
        std::array<bool, 2> lint{};    // the wires' levels
        bool ext_int_message = false;  // a message in mode ExtINT waits for its acknowledge cycle
    };

    void send(const Outbox& out);
    Lvt& lvt(LvtIndex index) REQUIRES(mutex_) { return state_.lvt[static_cast<size_t>(index)]; }
    const Lvt& lvt(LvtIndex index) const REQUIRES(mutex_) {
        return state_.lvt[static_cast<size_t>(index)];
    }
    static size_t lvt_index(ApicRegister reg) {
        return static_cast<size_t>(reg) - static_cast<size_t>(ApicRegister::lvt_timer);
    }
    bool enabled() const REQUIRES(mutex_) { return state_.base.get<ApicBase::Enabled>(); }
    bool x2apic() const REQUIRES(mutex_) { return state_.base.get<ApicBase::X2Apic>(); }

    // Before a vCPU's access: what time and the guest's memory have changed meanwhile.
    void catch_up(Outbox& out) REQUIRES(mutex_);
    void catch_up_timer(Outbox& out) REQUIRES(mutex_);
    void catch_up_pv_eoi(Outbox& out) REQUIRES(mutex_);
    // After any change: the summaries, and a signal if an interrupt has become deliverable.
    void publish(Outbox& out) REQUIRES(mutex_);

    // Priorities, Intel SDM 11.8.3.
    uint8_t ppr() const REQUIRES(mutex_);
    int deliverable_vector() const REQUIRES(mutex_);
    bool ext_int_pending() const REQUIRES(mutex_);
    std::optional<uint8_t> take_vector() REQUIRES(mutex_);
    std::optional<uint8_t> acknowledge_ext_int(Outbox& out) EXCLUDES(mutex_);

    // Interrupts.
    void receive(const ApicInterrupt& interrupt, Outbox& out) REQUIRES(mutex_);
    void request(uint8_t vector, TriggerMode trigger, Outbox& out) REQUIRES(mutex_);
    void report_error(uint8_t error, Outbox& out) REQUIRES(mutex_);
    void fire_local(LvtIndex index, Outbox& out) REQUIRES(mutex_);
    void lint_asserted(unsigned input, Outbox& out) REQUIRES(mutex_);
    bool lint0_is_level() const REQUIRES(mutex_);
    void fire_level_lint0(Outbox& out) REQUIRES(mutex_);
    void end_of_interrupt(Outbox& out) REQUIRES(mutex_);
    void send_ipi(Outbox& out) REQUIRES(mutex_);
    ApicDestination ipi_destination() const REQUIRES(mutex_);

    // Registers.
    uint32_t read_memory(ApicRegister reg, Outbox& out) REQUIRES(mutex_);
    void write_memory(ApicRegister reg, uint32_t value, Outbox& out) REQUIRES(mutex_);
    bool read_x2apic(uint32_t index, uint64_t& value) REQUIRES(mutex_);
    bool write_x2apic(uint32_t index, uint64_t value, Outbox& out) REQUIRES(mutex_);
    uint32_t read_register(ApicRegister reg) const REQUIRES(mutex_);
    void write_register(ApicRegister reg, uint32_t value, Outbox& out) REQUIRES(mutex_);
    void write_lvt(ApicRegister reg, uint32_t value, Outbox& out) REQUIRES(mutex_);
    void write_svr(uint32_t value) REQUIRES(mutex_);
    void configure_timer() REQUIRES(mutex_);

    bool write_base(ApicBase base) REQUIRES(mutex_);
    // Registers as after INIT; `state_.base` and the wires stay.
    void init_registers() REQUIRES(mutex_);
    void reset_locked() REQUIRES(mutex_);
    Result<void> apply(StateReader& reader) REQUIRES(mutex_);

    // configuration
    const unsigned id_;
    const bool boot_processor_;
    const uint64_t base_reserved_;  // bits of IA32_APIC_BASE
    std::array<char, 24> name_{};
    size_t name_length_ = 0;

    // wiring
    VcpuSignals& signals_;
    ApicBus& bus_;
    ExtIntSource* ext_int_;
    const std::unique_ptr<Timer> host_timer_;

    // bookkeeping
    mutable Mutex mutex_;
    std::atomic<bool> deliverable_{false};
    std::atomic<uint32_t> summary_{0};
    std::atomic<uint64_t> mmio_page_{kNoPage};

    // sub-devices
    ApicTimer timer_ GUARDED_BY(mutex_);
    PvEoi pv_eoi_ GUARDED_BY(mutex_);

    // guest-visible state
    State state_ GUARDED_BY(mutex_);
};

}  // namespace banyan
