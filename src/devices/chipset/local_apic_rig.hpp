// A machine of local APICs for tests: their bus, vCPUs that only count signals, memory and time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "devices/chipset/apic_bus.hpp"
#include "devices/chipset/local_apic.hpp"
#include "support/assert.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {

inline constexpr uint32_t kMaskedLvt = 0x10000;

struct CountingSignals final : VcpuSignals {
    void raise_interrupt() override { ++interrupts; }
    void raise_nmi() override { ++nmis; }
    void raise_smi() override { ++smis; }
    void raise_init() override { ++inits; }
    void raise_sipi(uint8_t vector) override {
        ++sipis;
        sipi_vector = vector;
    }

    std::atomic<unsigned> interrupts{0};
    std::atomic<unsigned> nmis{0};
    std::atomic<unsigned> smis{0};
    std::atomic<unsigned> inits{0};
    std::atomic<unsigned> sipis{0};
    std::atomic<uint8_t> sipi_vector{0};
};

// An 8259 pair with one request.
struct FakeExtInt final : ExtIntSource {
    bool pending() const override { return vector.has_value(); }
    std::optional<uint8_t> acknowledge() override {
        const auto taken = vector;
        vector.reset();
        if (apic != nullptr) apic->set_irq(LocalApic::kLint0, false);
        return taken;
    }
    void request(uint8_t requested) {
        vector = requested;
        if (apic != nullptr) apic->set_irq(LocalApic::kLint0, true);
    }

    LocalApic* apic = nullptr;
    std::optional<uint8_t> vector;
};

class ApicRig {
public:
    static constexpr uint64_t kRamSize = 0x10000;

    explicit ApicRig(unsigned cpus = 1, unsigned first_id = 0) {
        for (unsigned i = 0; i < cpus; ++i)
            add(first_id + i);
    }

    void add(unsigned id) {
        signals.push_back(std::make_unique<CountingSignals>());
        apics.push_back(
            std::make_unique<LocalApic>(LocalApic::Wiring{.id = id,
                                                          .boot_processor = apics.empty(),
                                                          .clock = clock,
                                                          .timers = timers,
                                                          .signals = *signals.back(),
                                                          .bus = bus,
                                                          .memory = ram.memory(),
                                                          .ext_int = &ext_int}));
    }

    LocalApic& apic(unsigned cpu = 0) { return *apics[cpu]; }

    uint32_t read(ApicRegister reg, unsigned cpu = 0) {
        uint64_t value = 0;
        BANYAN_ASSERT(apic(cpu).mmio_read(static_cast<uint64_t>(reg) << 4, 4, value) ==
                      IoStatus::ok);
        return static_cast<uint32_t>(value);
    }
    void write(ApicRegister reg, uint32_t value, unsigned cpu = 0) {
        BANYAN_ASSERT(apic(cpu).mmio_write(static_cast<uint64_t>(reg) << 4, 4, value) ==
                      IoStatus::ok);
    }
    static uint32_t msr(ApicRegister reg) { return kMsrX2ApicFirst + static_cast<uint32_t>(reg); }
    bool write_msr(ApicRegister reg, uint64_t value, unsigned cpu = 0) {
        return apic(cpu).write_apic_msr(msr(reg), value);
    }
    std::optional<uint64_t> read_msr(ApicRegister reg, unsigned cpu = 0) {
        uint64_t value = 0;
        if (!apic(cpu).read_apic_msr(msr(reg), value)) return std::nullopt;
        return value;
    }
    uint64_t base(unsigned cpu = 0) {
        uint64_t value = 0;
        BANYAN_ASSERT(apic(cpu).read_apic_msr(kMsrApicBase, value));
        return value;
    }

    // What every kernel does first.
    void enable(unsigned cpu = 0) { write(ApicRegister::svr, 0x1FF, cpu); }
    void enable_all() {
        for (unsigned cpu = 0; cpu < apics.size(); ++cpu)
            enable(cpu);
    }
    void enter_x2apic(unsigned cpu = 0) {
        BANYAN_ASSERT(apic(cpu).write_apic_msr(kMsrApicBase, base(cpu) | bit(10)));
        BANYAN_ASSERT(write_msr(ApicRegister::svr, 0x1FF, cpu));
    }
    void send_ipi(uint32_t destination, uint32_t low, unsigned cpu = 0) {
        write(ApicRegister::icr_high, destination << 24, cpu);
        write(ApicRegister::icr_low, low, cpu);
    }
    void request(uint8_t vector, TriggerMode trigger = TriggerMode::edge, unsigned cpu = 0) {
        apic(cpu).accept({.vector = vector, .trigger = trigger});
    }
    std::optional<uint8_t> acknowledge(unsigned cpu = 0) {
        return apic(cpu).acknowledge_interrupt();
    }
    void eoi(unsigned cpu = 0) { write(ApicRegister::eoi, 0, cpu); }
    // Is the vector's bit set in ISR, TMR or IRR?
    bool test(ApicRegister first, uint8_t vector, unsigned cpu = 0) {
        const auto reg = static_cast<ApicRegister>(static_cast<unsigned>(first) + vector / 32U);
        return has_bit(read(reg, cpu), vector % 32U);
    }

    FakeClock clock;
    FakeTimerService timers{clock};
    FakeRam ram{kRamSize};
    FakeExtInt ext_int;
    ApicBus bus;
    std::vector<std::unique_ptr<CountingSignals>> signals;
    std::vector<std::unique_ptr<LocalApic>> apics;
};

}  // namespace banyan
