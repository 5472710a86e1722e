// Plain structures as the bytes that they are in memory: for tables that guests and firmware read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace banyan {

template <class T>
void append_object(std::vector<std::byte>& to, const T& object) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = std::as_bytes(std::span(&object, 1));
    to.insert(to.end(), bytes.begin(), bytes.end());
}

template <class T>
std::vector<std::byte> bytes_of(const T& object) {
    std::vector<std::byte> bytes;
    append_object(bytes, object);
    return bytes;
}

// The byte that makes the sum of these and itself zero, modulo 256: the checksum of ACPI, SMBIOS
// and MP tables.
inline uint8_t zero_sum(std::span<const std::byte> bytes) {
    unsigned sum = 0;
    for (const std::byte byte : bytes)
        sum += std::to_integer<unsigned>(byte);
    return static_cast<uint8_t>(0U - sum);
}

}  // namespace banyan
