// HpetLegacyRoute: who drives IRQ0 and IRQ8 (IA-PC HPET Specification 1.0a, section 2.3.5,
// LEG_RT_CNF): the 8254 and the CMOS clock, or timers 0 and 1 of the HPET in their place.
//
// Threads: inputs change from any thread, so there is a lock inside; it is held while an output is
// set.
#pragma once

#include <array>

#include "support/mutex.hpp"
#include "vm/irq.hpp"

namespace banyan {

class HpetLegacyRoute final : public IrqSink {
public:
    static constexpr unsigned kPit = 0;
    static constexpr unsigned kRtc = 1;
    static constexpr unsigned kTimer0 = 2;
    static constexpr unsigned kTimer1 = 3;

    HpetLegacyRoute(IrqLine irq0, IrqLine irq8) : outputs_{irq0, irq8} {}

    void set_irq(unsigned input, bool asserted) override;
    // True: the timers drive the outputs.
    void replace(bool on);

    // The levels of the legacy chips' wires: all that is to be saved here.
    std::array<bool, 2> legacy_levels() const;
    // Outputs stay: those who listen restore what they heard.
    void restore(std::array<bool, 2> legacy_levels, bool replaced);

private:
    // wiring
    const std::array<IrqLine, 2> outputs_;

    // bookkeeping
    mutable Mutex mutex_;

    // guest-visible state
    std::array<bool, 4> levels_ GUARDED_BY(mutex_){};
    bool replaced_ GUARDED_BY(mutex_) = false;
};

}  // namespace banyan
