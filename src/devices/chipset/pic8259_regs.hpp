// Command words of the 8259A (Intel data sheet 231468, figures 7 and 8).
#pragma once

#include <cstdint>

namespace banyan::pic {

// A write with A0=0 is ICW1 when D4 is set, else OCW3 when D3 is set, else OCW2.
namespace icw1 {
inline constexpr uint8_t kIcw4Needed = 0x01;
inline constexpr uint8_t kSingle = 0x02;
inline constexpr uint8_t kIcw1 = 0x10;
}  // namespace icw1

namespace icw4 {
inline constexpr uint8_t kAutoEoi = 0x02;
inline constexpr uint8_t kSpecialFullyNested = 0x10;
inline constexpr uint8_t kMask = 0x1F;
}  // namespace icw4

namespace ocw2 {
inline constexpr uint8_t kLevel = 0x07;
enum class Command : uint8_t {  // bits 7..5: rotate, specific, end of interrupt
    clear_rotate_on_auto_eoi = 0,
    eoi = 1,
    no_operation = 2,
    specific_eoi = 3,
    set_rotate_on_auto_eoi = 4,
    rotate_on_eoi = 5,
    set_priority = 6,
    rotate_on_specific_eoi = 7,
};
}  // namespace ocw2

namespace ocw3 {
inline constexpr uint8_t kReadIsr = 0x01;
inline constexpr uint8_t kReadRegister = 0x02;
inline constexpr uint8_t kPoll = 0x04;
inline constexpr uint8_t kOcw3 = 0x08;
inline constexpr uint8_t kSpecialMask = 0x20;
inline constexpr uint8_t kSetSpecialMask = 0x40;  // kSpecialMask counts only with this bit
}  // namespace ocw3

inline constexpr uint8_t kPollInterrupt = 0x80;  // in the answer to a poll

}  // namespace banyan::pic
