// Le<T>: an integer stored little-endian and unaligned, for structures shared with guests and
// files.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace banyan {

static_assert(std::endian::native == std::endian::little, "Banyan runs on little-endian hosts");

template <std::unsigned_integral T>
class Le {
public:
    constexpr Le() = default;
    constexpr Le(T value)
        : bytes_(std::bit_cast<Bytes>(value)) {}  // NOLINT: converts as an integer does
    constexpr operator T() const { return std::bit_cast<T>(bytes_); }

private:
    struct Bytes {
        unsigned char at[sizeof(T)];
    };
    Bytes bytes_{};
};

using le16 = Le<uint16_t>;
using le32 = Le<uint32_t>;
using le64 = Le<uint64_t>;

}  // namespace banyan
