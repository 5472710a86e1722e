// VectorSet: 256 bits, one for each interrupt vector, as IRR, ISR and TMR are.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "support/bits.hpp"

namespace banyan {

class VectorSet {
public:
    using Words = std::array<uint32_t, 8>;

    VectorSet() = default;
    explicit VectorSet(const Words& words) : words_(words) {}

    void set(uint8_t vector) { words_[vector / 32U] |= bit<uint32_t>(vector % 32U); }
    void clear(uint8_t vector) { words_[vector / 32U] &= ~bit<uint32_t>(vector % 32U); }
    bool test(uint8_t vector) const { return has_bit(words_[vector / 32U], vector % 32U); }
    const Words& words() const { return words_; }

    // The vector with the highest priority; -1 when the set is empty.
    int highest() const {
        for (unsigned i = 8; i-- > 0;) {
            if (words_[i] != 0) return static_cast<int>(i * 32 + 31) - std::countl_zero(words_[i]);
        }
        return -1;
    }
    int count() const {
        int total = 0;
        for (const uint32_t word : words_)
            total += std::popcount(word);
        return total;
    }

private:
    Words words_{};
};

}  // namespace banyan
