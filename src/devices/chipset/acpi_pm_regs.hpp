// Bits of ACPI's fixed hardware (ACPI specification 6.4, section 4.8.3) and of PC chipsets around
// it.
#pragma once

#include <cstdint>

namespace banyan::acpi {

// PM1 status; the same bits of PM1 enable.
namespace pm1 {
inline constexpr uint16_t TMR = 0x0001;
inline constexpr uint16_t BM = 0x0010;
inline constexpr uint16_t GBL = 0x0020;
inline constexpr uint16_t PWRBTN = 0x0100;
inline constexpr uint16_t SLPBTN = 0x0200;
inline constexpr uint16_t RTC = 0x0400;
inline constexpr uint16_t WAK = 0x8000;
inline constexpr uint16_t kStatus = TMR | BM | GBL | PWRBTN | SLPBTN | RTC | WAK;
inline constexpr uint16_t kEnable = TMR | GBL | PWRBTN | SLPBTN | RTC;
}  // namespace pm1

namespace control {
inline constexpr uint16_t SCI_EN = 0x0001;
inline constexpr uint16_t BM_RLD = 0x0002;
inline constexpr uint16_t GBL_RLS = 0x0004;  // w
inline constexpr uint16_t SLP_TYP = 0x1C00;
inline constexpr unsigned kSleepTypeShift = 10;
inline constexpr uint16_t SLP_EN = 0x2000;  // w
inline constexpr uint16_t kKept = BM_RLD | SLP_TYP;
}  // namespace control

// Port CF9h (Intel 82371AB PIIX4 data sheet, "Reset control register").
namespace reset_control {
inline constexpr uint8_t SYS_RST = 0x02;   // hard reset, not only of the CPU
inline constexpr uint8_t RST_CPU = 0x04;   // its rising edge resets
inline constexpr uint8_t FULL_RST = 0x08;  // power cycle
inline constexpr uint8_t kKept = SYS_RST | FULL_RST;
}  // namespace reset_control

}  // namespace banyan::acpi
