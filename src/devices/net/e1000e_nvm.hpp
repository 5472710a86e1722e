// The EEPROM of an 82574L: 64 words, of which the card reads its address and a system's driver its
// version and checksum (datasheet 317694, chapter 6).
#pragma once

#include <array>
#include <cstdint>

namespace banyan::e1000e {

inline constexpr unsigned kNvmWords = 64;
using Nvm = std::array<uint16_t, kNvmWords>;
using Address = std::array<uint8_t, 6>;

Nvm make_nvm(const Address& address);
// The station address that it holds.
Address address_in(const Nvm& nvm);

}  // namespace banyan::e1000e
