#include "devices/net/e1000e_nvm.hpp"

namespace banyan::e1000e {

namespace {

// Section 6.1 "Basic configuration table".
enum Word : unsigned {
    COMPATIBILITY = 0x03,
    LED_DEFAULTS = 0x04,
    VERSION = 0x05,
    PBA_HIGH = 0x08,
    PBA_LOW = 0x09,
    CONTROL_1 = 0x0A,
    SUBSYSTEM = 0x0B,
    SUBSYSTEM_VENDOR = 0x0C,
    DEVICE = 0x0D,
    VENDOR = 0x0E,
    CHECKSUM = 0x3F,
};
constexpr uint16_t kSum = 0xBABA;

}  // namespace

Nvm make_nvm(const Address& address) {
    Nvm nvm{};
    for (unsigned i = 0; i < 3; ++i)
        nvm[i] = static_cast<uint16_t>(address[2 * i] | address[2 * i + 1] << 8);
    nvm[COMPATIBILITY] = 0x0420;
    nvm[LED_DEFAULTS] = 0xF746;
    nvm[VERSION] = 0x2010;
    nvm[PBA_HIGH] = 0xFFFF;
    nvm[PBA_LOW] = 0xFFFF;
    nvm[CONTROL_1] = 0x026B;
    nvm[SUBSYSTEM] = 0xA01F;
    nvm[SUBSYSTEM_VENDOR] = 0x8086;
    nvm[DEVICE] = 0x10D3;
    nvm[VENDOR] = 0x8086;
    unsigned sum = 0;
    for (const uint16_t word : nvm)
        sum += word;
    nvm[CHECKSUM] = static_cast<uint16_t>(kSum - sum);
    return nvm;
}

Address address_in(const Nvm& nvm) {
    Address address{};
    for (unsigned i = 0; i < address.size(); ++i)
        address[i] = static_cast<uint8_t>(nvm[i / 2] >> (i % 2 * 8));
    return address;
}

}  // namespace banyan::e1000e
