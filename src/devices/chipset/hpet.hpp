// Hpet: IA-PC HPET (High Precision Event Timers) Specification, revision 1.0a: a 64-bit counter at
// 100 MHz and three comparators, each periodic or one-shot, with message (FSB) delivery.
//
// The counter is computed from guest time when it is looked at; deadlines are computed from
// comparator values and not from one another, so nothing drifts.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "devices/chipset/hpet_legacy_route.hpp"
#include "devices/chipset/hpet_regs.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

struct HpetTimerStateV1;

class Hpet final : public Device, public MmioIo, public TimerClient {
public:
    static constexpr unsigned kTimers = 3;
    static constexpr uint64_t kMmioSize = 0x400;
    static constexpr uint64_t kTickNs = 10;
    // A periodic timer interrupts at most this often; a guest that programs less gets every n-th.
    static constexpr uint64_t kMinInterruptPeriodNs = 100'000;

    struct Wiring {
        const Clock& clock;
        TimerService& timers;
        IrqSink& ioapic;  // inputs as in `routes`
        IrqLine irq0;     // what timer 0 and, while it does not replace them, the PIT drive
        IrqLine irq8;     // the same for timer 1 and the CMOS clock
        MsiSink& msi;
        uint32_t routes = 0x00F0'0000;  // IO-APIC inputs that timers may drive: 20..23
    };
    explicit Hpet(const Wiring& wiring);

    // The legacy timers' wires end here, so that LEG_RT_CNF can cut them off (section 2.3.5).
    IrqLine pit_input() { return {legacy_, HpetLegacyRoute::kPit}; }
    IrqLine rtc_input() { return {legacy_, HpetLegacyRoute::kRtc}; }

    std::string_view name() const override { return "hpet"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    MmioIo* mmio() override { return this; }
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

    void on_timer(unsigned cookie) override;

private:
    struct Comparator {
        HpetTimerConfig config;  // the writable bits
        uint64_t value = ~uint64_t{0};
        uint64_t period = 0;  // what a periodic timer adds to `value` on a match
        uint64_t fsb_route = 0;
        bool waiting = false;  // for the match at match_ns
        uint64_t match_ns = 0;
    };

    struct State {
        HpetGeneralConfig config;
        uint8_t status = 0;    // GINTR_STA
        uint64_t counter = 0;  // at guest time counter_ns; at any time while halted
        uint64_t counter_ns = 0;
        std::array<Comparator, kTimers> timers;
    };

    bool running() const { return state_.config.get<HpetGeneralConfig::Enabled>(); }
    uint64_t elapsed_ticks() const;
    uint64_t counter() const;

    uint64_t read_register(uint64_t offset) const;
    uint64_t read_timer(unsigned index, HpetTimerRegister reg) const;
    // `written` are the bits that the access reaches; `value` is in place.
    void write_register(uint64_t offset, uint64_t value, uint64_t written);
    void write_timer(unsigned index, HpetTimerRegister reg, uint64_t value, uint64_t written);
    void write_general_config(uint64_t value);
    void write_counter(uint64_t value);
    void write_timer_config(unsigned index, uint64_t value);
    void write_comparator(unsigned index, uint64_t value, uint64_t written);

    static bool is_periodic(const Comparator& timer);
    static uint64_t repeat_ticks(const Comparator& timer);
    // Matches that have come since.
    void catch_up(unsigned index);
    void catch_up_all();
    // Finds the next match after a change of the counter or the comparator.
    void schedule(unsigned index);
    void schedule_all();
    void arm(unsigned index);
    void fire(unsigned index);

    // A change of what decides where interrupts go stands between release and update.
    void release_lines();
    void update_lines();
    bool line_wanted(unsigned index) const;
    void set_line(unsigned index, bool asserted);

    bool valid(const HpetTimerStateV1& saved, bool running) const;
    Result<void> apply(StateReader& reader);

    // configuration
    const uint32_t routes_;

    // wiring
    const Clock& clock_;
    IrqSink& ioapic_;
    MsiSink& msi_;
    std::array<std::unique_ptr<Timer>, kTimers> host_timers_;

    // bookkeeping
    std::array<bool, kTimers> line_high_{};

    // sub-devices
    HpetLegacyRoute legacy_;

    // guest-visible state
    State state_;
};

}  // namespace banyan
