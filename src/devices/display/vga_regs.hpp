// Registers of the VGA (IBM Personal System/2 hardware interface technical reference, "Video
// subsystem"; FreeVGA, "VGA chipset reference") and of the Bochs VBE extensions (Bochs,
// vbe_display_api.txt).
#pragma once

#include <cstddef>
#include <cstdint>

namespace banyan::vga {

inline constexpr uint16_t kFirstPort = 0x3B0;  // of 48
inline constexpr uint16_t kPortCount = 0x30;

enum Port : uint16_t {
    kMonoCrtcIndex = 0x3B4,
    kMonoCrtcData = 0x3B5,
    kMonoStatus1 = 0x3BA,  // w feature control
    kAttribute = 0x3C0,    // index and data in turn
    kAttributeData = 0x3C1,
    kStatus0 = 0x3C2,  // w miscellaneous output
    kSequencerIndex = 0x3C4,
    kSequencerData = 0x3C5,
    kDacMask = 0x3C6,
    kDacReadIndex = 0x3C7,  // r state
    kDacWriteIndex = 0x3C8,
    kDacData = 0x3C9,
    kFeatureRead = 0x3CA,
    kMiscRead = 0x3CC,
    kGraphicsIndex = 0x3CE,
    kGraphicsData = 0x3CF,
    kCrtcIndex = 0x3D4,
    kCrtcData = 0x3D5,
    kStatus1 = 0x3DA,  // w feature control
};

namespace misc {
inline constexpr uint8_t kColour = 0x01;  // CRTC at 3D4h, not 3B4h
inline constexpr uint8_t kRamEnabled = 0x02;
}  // namespace misc

namespace status1 {
inline constexpr uint8_t kDisplayDisabled = 0x01;
inline constexpr uint8_t kVerticalRetrace = 0x08;
}  // namespace status1
inline constexpr uint8_t kStatus0SwitchSense = 0x10;

namespace seq {
inline constexpr size_t kCount = 5;
enum Index : uint8_t { kReset, kClocking, kMapMask, kCharacterMap, kMemoryMode };
inline constexpr uint8_t kEightDots = 0x01;
inline constexpr uint8_t kHalfDotClock = 0x08;
inline constexpr uint8_t kScreenOff = 0x20;
inline constexpr uint8_t kExtendedMemory = 0x02;
inline constexpr uint8_t kNoOddEven = 0x04;
inline constexpr uint8_t kChain4 = 0x08;
inline constexpr uint8_t kWritable[kCount] = {0x03, 0x3D, 0x0F, 0x3F, 0x0E};
}  // namespace seq

namespace crtc {
inline constexpr size_t kCount = 0x19;
enum Index : uint8_t {
    kHorizontalTotal = 0x00,
    kHorizontalDisplayEnd = 0x01,
    kVerticalTotal = 0x06,
    kOverflow = 0x07,
    kPresetRowScan = 0x08,
    kMaximumScanLine = 0x09,
    kCursorStart = 0x0A,
    kCursorEnd = 0x0B,
    kStartHigh = 0x0C,
    kStartLow = 0x0D,
    kCursorHigh = 0x0E,
    kCursorLow = 0x0F,
    kVerticalRetraceStart = 0x10,
    kVerticalRetraceEnd = 0x11,
    kVerticalDisplayEnd = 0x12,
    kOffset = 0x13,
    kUnderline = 0x14,
    kMode = 0x17,
    kLineCompare = 0x18,
};
inline constexpr uint8_t kProtect = 0x80;              // of kVerticalRetraceEnd: 0..7 are read-only
inline constexpr uint8_t kOverflowLineCompare = 0x10;  // but this bit
inline constexpr uint8_t kScanDouble = 0x80;           // of kMaximumScanLine
inline constexpr uint8_t kCursorOff = 0x20;            // of kCursorStart
inline constexpr uint8_t kCountByFour = 0x20;          // of kUnderline
inline constexpr uint8_t kDoubleWord = 0x40;           // of kUnderline
inline constexpr uint8_t kMap13 = 0x01;                // of kMode: 0 takes bit 13 from the row scan
inline constexpr uint8_t kMap14 = 0x02;                // of kMode: 0 takes bit 14 from the row scan
inline constexpr uint8_t kHalfVerticalClock = 0x04;
inline constexpr uint8_t kCountByTwo = 0x08;
inline constexpr uint8_t kAddressWrap = 0x20;  // 1: all 256 KiB
inline constexpr uint8_t kByteMode = 0x40;
inline constexpr uint8_t kSyncEnabled = 0x80;
}  // namespace crtc

namespace gfx {
inline constexpr size_t kCount = 9;
enum Index : uint8_t {
    kSetReset,
    kEnableSetReset,
    kColourCompare,
    kRotate,
    kReadMap,
    kMode,
    kMisc,
    kColourDontCare,
    kBitMask,
};
inline constexpr uint8_t kReadMode1 = 0x08;     // of kMode
inline constexpr uint8_t kOddEven = 0x10;       // of kMode
inline constexpr uint8_t kInterleaved = 0x20;   // of kMode: CGA's four colours
inline constexpr uint8_t k256Colours = 0x40;    // of kMode
inline constexpr uint8_t kGraphicsMode = 0x01;  // of kMisc
inline constexpr uint8_t kWritable[kCount] = {0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF};
}  // namespace gfx

namespace attr {
inline constexpr size_t kCount = 0x15;
enum Index : uint8_t {
    kPalette = 0x00,  // 16 of them
    kMode = 0x10,
    kOverscan = 0x11,
    kPlaneEnable = 0x12,
    kPanning = 0x13,
    kColourSelect = 0x14,
};
inline constexpr uint8_t kScreenOn = 0x20;      // of the index: the palette belongs to the screen
inline constexpr uint8_t kLineGraphics = 0x04;  // of kMode: the ninth dot repeats the eighth
inline constexpr uint8_t kBlink = 0x08;
inline constexpr uint8_t kPanningCompatible = 0x20;  // none below the split
inline constexpr uint8_t kEightBitPixels = 0x40;
inline constexpr uint8_t kPalette54 = 0x80;  // bits 5..4 of colours from kColourSelect
}  // namespace attr

inline constexpr size_t kPlaneSize = 0x10000;
inline constexpr unsigned kPlanes = 4;
inline constexpr size_t kDacColours = 256;

// Bochs VBE extensions.
inline constexpr uint16_t kDispiIndexPort = 0x1CE;
inline constexpr uint16_t kDispiDataPort = 0x1CF;
inline constexpr uint16_t kDispiOldDataPort = 0x1D0;  // where x86 needs an aligned one

namespace dispi {
enum Index : uint16_t {
    kId,
    kWidth,
    kHeight,
    kDepth,
    kEnable,
    kBank,
    kVirtualWidth,
    kVirtualHeight,
    kXOffset,
    kYOffset,
    kMemory,  // in 64 KiB
};
inline constexpr size_t kCount = 11;
inline constexpr uint16_t kOldestId = 0xB0C0;
inline constexpr uint16_t kNewestId = 0xB0C5;
inline constexpr uint16_t kEnabled = 0x01;
inline constexpr uint16_t kCapabilities = 0x02;  // reads give the largest values
inline constexpr uint16_t kEightBitDac = 0x20;
inline constexpr uint16_t kKeepMemory = 0x80;
inline constexpr uint16_t kMaxWidth = 2560;
inline constexpr uint16_t kMaxHeight = 1600;
inline constexpr uint16_t kMaxDepth = 32;
inline constexpr uint32_t kBankSize = 0x10000;
}  // namespace dispi

}  // namespace banyan::vga
