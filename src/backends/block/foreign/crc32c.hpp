// The CRC of Castagnoli's polynomial (RFC 3720, B.4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace banyan {

namespace crc32c_detail {

constexpr uint32_t kPolynomial = 0x82F63B78;  // bits reversed

constexpr std::array<uint32_t, 256> make_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = value >> 1 ^ ((value & 1) != 0 ? kPolynomial : 0);
        table[i] = value;
    }
    return table;
}

inline constexpr auto kTable = make_table();

}  // namespace crc32c_detail

constexpr uint32_t crc32c(std::span<const std::byte> bytes) {
    uint32_t crc = ~uint32_t{0};
    for (const std::byte byte : bytes)
        crc = crc >> 8 ^ crc32c_detail::kTable[(crc ^ static_cast<uint32_t>(byte)) & 0xFF];
    return ~crc;
}

}  // namespace banyan
