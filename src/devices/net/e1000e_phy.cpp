#include "devices/net/e1000e_phy.hpp"

namespace banyan {

namespace {

enum PhyRegister : unsigned {
    PHY_CONTROL = 0,
    PHY_STATUS = 1,
    PHY_ID_HIGH = 2,
    PHY_ID_LOW = 3,
    PHY_ADVERTISED = 4,
    PHY_PARTNER = 5,
    PHY_EXPANSION = 6,
    PHY_GIGABIT_CONTROL = 9,
    PHY_GIGABIT_STATUS = 10,
    PHY_EXTENDED_STATUS = 15,
    PHY_SPECIFIC_STATUS = 17,
    PHY_PAGE = 22,
};

constexpr uint16_t kControlReset = 1 << 15;
constexpr uint16_t kControlRestart = 1 << 9;
constexpr uint16_t kControlAtReset = 0x1140;  // negotiation, full duplex, gigabit
constexpr uint16_t kStatusAbilities = 0x7949;
constexpr uint16_t kStatusNegotiated = 1 << 5;
constexpr uint16_t kStatusLink = 1 << 2;
constexpr uint16_t kAdvertisedAtReset = 0x0DE1;
constexpr uint16_t kPartnerAbilities = 0xC1E1;
constexpr uint16_t kGigabitControlAtReset = 0x0E00;
constexpr uint16_t kGigabitStatus = 0x7C00;
// Gigabit, full duplex, resolved, link.
constexpr uint16_t kSpecificUp = 0xAC00;

}  // namespace

void E1000ePhy::reset() {
    registers_ = {};
    registers_[PHY_CONTROL] = kControlAtReset;
    registers_[PHY_ADVERTISED] = kAdvertisedAtReset;
    registers_[PHY_GIGABIT_CONTROL] = kGigabitControlAtReset;
}

// Registers of pages other than the first are not there.
uint16_t E1000ePhy::read(unsigned index, bool link_up) const {
    if (registers_[PHY_PAGE] != 0 && index != PHY_PAGE && index > PHY_EXTENDED_STATUS) return 0;
    switch (index) {
        case PHY_STATUS:
            return static_cast<uint16_t>(kStatusAbilities |
                                         (link_up ? kStatusNegotiated | kStatusLink : 0));
        case PHY_ID_HIGH: return 0x0141;
        case PHY_ID_LOW: return 0x0CB1;
        case PHY_PARTNER: return link_up ? kPartnerAbilities : uint16_t{0};
        case PHY_EXPANSION: return link_up ? uint16_t{1} : uint16_t{0};
        case PHY_GIGABIT_STATUS: return link_up ? kGigabitStatus : uint16_t{0};
        case PHY_EXTENDED_STATUS: return 0x3000;
        case PHY_SPECIFIC_STATUS: return link_up ? kSpecificUp : uint16_t{0};
        default: return registers_[index];
    }
}

void E1000ePhy::write(unsigned index, uint16_t value) {
    if (index == PHY_CONTROL) {
        if ((value & kControlReset) != 0) return reset();
        value &= static_cast<uint16_t>(~kControlRestart);
    }
    registers_[index] = value;
}

}  // namespace banyan
