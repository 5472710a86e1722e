// Registers of the 8237A (Intel data sheet 231466, "Register description"), and where a PC has the
// two controllers and their page registers (Intel ICH9 data sheet 316972, section 13.2 "DMA I/O
// registers").
#pragma once

#include <cstdint>

namespace banyan::dma {

// Registers of one controller, in the order of its address lines. 0 to 7 are address and count of
// each channel in turn.
enum Register : uint8_t {
    COMMAND = 8,           // w; r: status
    REQUEST = 9,           // w
    SINGLE_MASK = 10,      // w
    MODE = 11,             // w
    CLEAR_FLIP_FLOP = 12,  // w
    MASTER_CLEAR = 13,     // w; r: temporary
    CLEAR_MASK = 14,       // w
    ALL_MASK = 15,         // rw
};

inline constexpr uint16_t kController1 = 0x00;  // a port a register: channels 0..3
inline constexpr uint16_t kController2 = 0xC0;  // two ports a register: channels 4..7
inline constexpr uint16_t kPages = 0x80;        // sixteen page registers, 92h is not among them

namespace command {
inline constexpr uint8_t kDisable = 0x04;
}

namespace mode {
inline constexpr uint8_t kTransfer = 0x0C;
inline constexpr uint8_t kToMemory = 0x04;
inline constexpr uint8_t kFromMemory = 0x08;
inline constexpr uint8_t kAutoInitialize = 0x10;
inline constexpr uint8_t kDecrement = 0x20;
inline constexpr uint8_t kKind = 0xC0;  // demand, single, block
inline constexpr uint8_t kCascade = 0xC0;
inline constexpr uint8_t kMask = 0xFC;  // without the channel's number
}  // namespace mode

// Of the request and the single mask register.
inline constexpr uint8_t kChannel = 0x03;
inline constexpr uint8_t kSet = 0x04;

}  // namespace banyan::dma
