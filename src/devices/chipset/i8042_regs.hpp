// Ports, bits and commands of the PC's keyboard controller (IBM PS/2 hardware interface technical
// reference, "Keyboard and auxiliary device controller").
#pragma once

#include <cstdint>

namespace banyan::kbc {

inline constexpr uint16_t kDataPort = 0x60;
inline constexpr uint16_t kCommandPort = 0x64;  // r status, w command
inline constexpr uint16_t kPort92 = 0x92;       // system control port A

namespace status {
inline constexpr uint8_t OBF = 0x01;  // output buffer full
inline constexpr uint8_t SYS = 0x04;  // system flag
inline constexpr uint8_t CD = 0x08;   // the last write was a command
inline constexpr uint8_t kUnlocked = 0x10;
inline constexpr uint8_t AUXB = 0x20;  // the output buffer holds a byte of the mouse
}  // namespace status

// The command byte, RAM location 0.
namespace mode {
inline constexpr uint8_t kKeyboardInterrupt = 0x01;
inline constexpr uint8_t kMouseInterrupt = 0x02;
inline constexpr uint8_t SYS = 0x04;
inline constexpr uint8_t kKeyboardDisabled = 0x10;
inline constexpr uint8_t kMouseDisabled = 0x20;
inline constexpr uint8_t kTranslate = 0x40;
}  // namespace mode

enum Command : uint8_t {
    READ_RAM = 0x20,   // to 0x3F
    WRITE_RAM = 0x60,  // to 0x7F, parameter
    TEST_PASSWORD = 0xA4,
    DISABLE_MOUSE = 0xA7,
    ENABLE_MOUSE = 0xA8,
    TEST_MOUSE = 0xA9,
    SELF_TEST = 0xAA,
    TEST_KEYBOARD = 0xAB,
    DISABLE_KEYBOARD = 0xAD,
    ENABLE_KEYBOARD = 0xAE,
    READ_INPUT_PORT = 0xC0,
    READ_OUTPUT_PORT = 0xD0,
    WRITE_OUTPUT_PORT = 0xD1,      // parameter
    WRITE_KEYBOARD_BUFFER = 0xD2,  // parameter
    WRITE_MOUSE_BUFFER = 0xD3,     // parameter
    WRITE_MOUSE = 0xD4,            // parameter
    DISABLE_A20 = 0xDD,
    ENABLE_A20 = 0xDF,
    READ_TEST_INPUTS = 0xE0,
    PULSE_OUTPUT = 0xF0,  // to 0xFF: the bits that are 0 are pulsed
};
inline constexpr uint8_t kRamMask = 0x1F;

inline constexpr uint8_t kNoPassword = 0xF1;
inline constexpr uint8_t kSelfTestPassed = 0x55;
inline constexpr uint8_t kInterfaceGood = 0x00;
inline constexpr uint8_t kInputPort = 0x80;  // keyboard not locked

namespace output_port {
inline constexpr uint8_t kNotReset = 0x01;
inline constexpr uint8_t A20 = 0x02;
inline constexpr uint8_t kKeyboardFull = 0x10;
inline constexpr uint8_t kMouseFull = 0x20;
inline constexpr uint8_t kLinesHigh = 0xC0;  // keyboard clock and data
}  // namespace output_port

namespace port92 {
inline constexpr uint8_t kFastReset = 0x01;
inline constexpr uint8_t A20 = 0x02;
}  // namespace port92

}  // namespace banyan::kbc
