// E1000ePhy: the transceiver inside the 82574L, as the MDI shows it (datasheet 317694, section
// 10.3; IEEE 802.3, clause 22). Negotiation is over at once, with a partner that can do a gigabit.
#pragma once

#include <array>
#include <cstdint>

namespace banyan {

class E1000ePhy {
public:
    static constexpr unsigned kRegisters = 32;
    using Registers = std::array<uint16_t, kRegisters>;

    E1000ePhy() { reset(); }

    void reset();
    uint16_t read(unsigned index, bool link_up) const;
    void write(unsigned index, uint16_t value);

    // What was written, for saved states.
    const Registers& registers() const { return registers_; }
    void restore(const Registers& registers) { registers_ = registers; }

private:
    Registers registers_{};
};

}  // namespace banyan
