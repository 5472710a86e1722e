// Bits, masks and alignment.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

namespace banyan {

template <std::unsigned_integral T = uint64_t>
constexpr T bit(unsigned n) {
    return static_cast<T>(T{1} << n);
}

// A mask of bits hi..lo, both included, as manuals write [hi:lo].
template <std::unsigned_integral T = uint64_t>
constexpr T mask(unsigned hi, unsigned lo) {
    return static_cast<T>((static_cast<T>(~T{0}) >> (sizeof(T) * 8 - 1 - (hi - lo))) << lo);
}

// Bits hi..lo of value, shifted down.
template <std::unsigned_integral T>
constexpr T bits(T value, unsigned hi, unsigned lo) {
    return static_cast<T>((value & mask<T>(hi, lo)) >> lo);
}

template <std::unsigned_integral T>
constexpr bool has_bit(T value, unsigned n) {
    return (static_cast<uint64_t>(value) >> n & 1U) != 0;
}

// Alignments are powers of two.
template <std::unsigned_integral T>
constexpr T align_down(T value, T alignment) {
    return static_cast<T>(value & ~(alignment - 1));
}

template <std::unsigned_integral T>
constexpr T align_up(T value, T alignment) {
    return align_down(static_cast<T>(value + alignment - 1), alignment);
}

template <std::unsigned_integral T>
constexpr bool is_aligned(T value, T alignment) {
    return (value & (alignment - 1)) == 0;
}

// All ones in the low `bytes` bytes: what an access of that size can carry.
constexpr uint64_t size_mask(unsigned bytes) {
    return bytes >= 8 ? ~uint64_t{0} : bit(bytes * 8) - 1;
}

}  // namespace banyan
