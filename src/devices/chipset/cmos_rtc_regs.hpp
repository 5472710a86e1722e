// Registers of the MC146818A (Motorola data sheet, "Registers") and the bytes that the PC adds.
#pragma once

#include <cstdint>

namespace banyan::rtc {

enum Index : uint8_t {
    SECONDS = 0x00,
    SECONDS_ALARM = 0x01,
    MINUTES = 0x02,
    MINUTES_ALARM = 0x03,
    HOURS = 0x04,
    HOURS_ALARM = 0x05,
    DAY_OF_WEEK = 0x06,
    DAY_OF_MONTH = 0x07,
    MONTH = 0x08,
    YEAR = 0x09,
    REGISTER_A = 0x0A,
    REGISTER_B = 0x0B,
    REGISTER_C = 0x0C,  // r
    REGISTER_D = 0x0D,  // r
    FIRST_MEMORY = 0x0E,
    CENTURY = 0x32,  // as the FADT says
};
inline constexpr uint8_t kIndexMask = 0x7F;  // bit 7 of port 70h masks NMI

namespace a {
inline constexpr uint8_t UIP = 0x80;  // update in progress
inline constexpr uint8_t DV = 0x70;   // divider
inline constexpr uint8_t kDivider32kHz = 0x20;
inline constexpr uint8_t RS = 0x0F;  // rate of the periodic interrupt
}  // namespace a

namespace b {
inline constexpr uint8_t SET = 0x80;  // updates are halted
inline constexpr uint8_t PIE = 0x40;  // periodic interrupt enable
inline constexpr uint8_t AIE = 0x20;  // alarm
inline constexpr uint8_t UIE = 0x10;  // update ended
inline constexpr uint8_t SQWE = 0x08;
inline constexpr uint8_t DM = 0x04;  // data mode: binary
inline constexpr uint8_t HOURS_24 = 0x02;
}  // namespace b

// Flags stand where their enables are in register B.
namespace c {
inline constexpr uint8_t IRQF = 0x80;
inline constexpr uint8_t PF = 0x40;
inline constexpr uint8_t AF = 0x20;
inline constexpr uint8_t UF = 0x10;
inline constexpr uint8_t kFlags = PF | AF | UF;
}  // namespace c

inline constexpr uint8_t kValidRamAndTime = 0x80;  // register D: VRT

}  // namespace banyan::rtc
