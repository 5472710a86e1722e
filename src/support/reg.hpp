// Registers and their fields, declared as manuals print them.
//
//     struct Rte : Reg<uint64_t> {
//         using Vector = Field<Rte, 7, 0, uint8_t>;
//         using Masked = Field<Rte, 16, 16, bool>;
//     };
//     Rte rte{value};  if (rte.get<Rte::Masked>()) ...   rte.set<Rte::Vector>(0x30);
#pragma once

#include "support/bits.hpp"

namespace banyan {

template <class Register, unsigned kHi, unsigned kLo, class T>
struct Field {
    using Type = T;
    static constexpr unsigned kHigh = kHi;
    static constexpr unsigned kLow = kLo;
    static_assert(kHi >= kLo);
};

template <std::unsigned_integral Raw>
struct Reg {
    Raw raw = 0;

    template <class F>
    constexpr typename F::Type get() const {
        return static_cast<typename F::Type>(bits(raw, F::kHigh, F::kLow));
    }

    template <class F>
    constexpr void set(typename F::Type value) {
        constexpr Raw kMask = mask<Raw>(F::kHigh, F::kLow);
        raw = static_cast<Raw>((raw & ~kMask) | ((static_cast<Raw>(value) << F::kLow) & kMask));
    }
};

}  // namespace banyan
