// Be<T>: an integer stored big-endian and unaligned, for structures shared with files.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

namespace banyan {

constexpr uint16_t swap_bytes(uint16_t value) {
    return __builtin_bswap16(value);
}
constexpr uint32_t swap_bytes(uint32_t value) {
    return __builtin_bswap32(value);
}
constexpr uint64_t swap_bytes(uint64_t value) {
    return __builtin_bswap64(value);
}

template <std::unsigned_integral T>
class Be {
public:
    constexpr Be() = default;
    constexpr Be(T value)
        : bytes_(std::bit_cast<Bytes>(swap_bytes(value))) {}  // NOLINT: converts as an integer does
    constexpr operator T() const { return swap_bytes(std::bit_cast<T>(bytes_)); }

private:
    struct Bytes {
        unsigned char at[sizeof(T)];
    };
    Bytes bytes_{};
};

using be16 = Be<uint16_t>;
using be32 = Be<uint32_t>;
using be64 = Be<uint64_t>;

}  // namespace banyan
