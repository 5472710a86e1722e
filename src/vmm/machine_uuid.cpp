#include "vmm/machine_uuid.hpp"

#include <cstddef>

namespace banyan {

namespace {

// FNV-1a (RFC draft-eastlake-fnv, section 2): `basis` tells two independent halves apart.
uint64_t hash(std::string_view text, uint64_t basis) {
    uint64_t value = basis;
    for (const char c : text)
        value = (value ^ static_cast<uint8_t>(c)) * 0x100000001B3ULL;
    return value;
}

}  // namespace

// RFC 9562, section 5.8: version 8 leaves all other bits to whoever makes the UUID.
std::array<uint8_t, 16> machine_uuid(std::string_view name) {
    const uint64_t halves[2] = {hash(name, 0xCBF29CE484222325ULL),
                                hash(name, 0x9AE16A3B2F90404FULL)};
    std::array<uint8_t, 16> uuid{};
    for (size_t i = 0; i < uuid.size(); ++i)
        uuid[i] = static_cast<uint8_t>(halves[i / 8] >> (8 * (i % 8)));
    uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0F) | 0x80);
    uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3F) | 0x80);
    return uuid;
}

}  // namespace banyan
