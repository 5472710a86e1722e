// Linux's boot_params ("zero page") and the setup header in it. Source: Linux
// Documentation/arch/x86/boot.rst and zero-page.rst. Offsets in the zero page; the header has the
// same offsets in the file.
#pragma once

#include <cstdint>

namespace banyan::loader::zero_page {

inline constexpr uint64_t kSize = 4096;

// struct screen_info, from 0.
inline constexpr uint64_t kVideoMode = 0x006;     // 8 bits
inline constexpr uint64_t kVideoColumns = 0x007;  // 8 bits
inline constexpr uint64_t kVideoEgaBx = 0x00A;    // 16 bits: what INT 10h, function 12h gives in BX
inline constexpr uint64_t kVideoLines = 0x00E;    // 8 bits
inline constexpr uint64_t kVideoIsVga = 0x00F;    // 8 bits
inline constexpr uint64_t kVideoPoints = 0x010;   // 16 bits: lines of a character
inline constexpr uint64_t kAcpiRsdpAddr = 0x070;  // 64 bits
inline constexpr uint64_t kE820Entries = 0x1E8;   // 8 bits
inline constexpr uint64_t kSetupHeader = 0x1F1;
inline constexpr uint64_t kSetupSects = 0x1F1;     // 8 bits
inline constexpr uint64_t kSyssize = 0x1F4;        // 32 bits, in units of 16 bytes
inline constexpr uint64_t kBootFlag = 0x1FE;       // 16 bits
inline constexpr uint64_t kHeaderLength = 0x201;   // 8 bits: the header ends this far behind 0x202
inline constexpr uint64_t kHeaderMagic = 0x202;    // 32 bits
inline constexpr uint64_t kVersion = 0x206;        // 16 bits
inline constexpr uint64_t kTypeOfLoader = 0x210;   // 8 bits
inline constexpr uint64_t kRamdiskImage = 0x218;   // 32 bits
inline constexpr uint64_t kRamdiskSize = 0x21C;    // 32 bits
inline constexpr uint64_t kCmdLinePtr = 0x228;     // 32 bits
inline constexpr uint64_t kInitrdAddrMax = 0x22C;  // 32 bits, the last byte that an initrd may have
inline constexpr uint64_t kKernelAlignment = 0x230;  // 32 bits
inline constexpr uint64_t kRelocatable = 0x234;      // 8 bits
inline constexpr uint64_t kXloadflags = 0x236;       // 16 bits
inline constexpr uint64_t kCmdlineSize = 0x238;      // 32 bits, without the terminating zero
inline constexpr uint64_t kPrefAddress = 0x258;      // 64 bits
inline constexpr uint64_t kInitSize = 0x260;         // 32 bits
inline constexpr uint64_t kHeaderEndMax = 0x290;     // what follows belongs to other fields
inline constexpr uint64_t kE820Table = 0x2D0;        // entries of 20 bytes

inline constexpr uint64_t kE820EntrySize = 20;
inline constexpr uint64_t kE820Max = 128;

inline constexpr uint16_t kBootFlagValue = 0xAA55;
inline constexpr uint32_t kHeaderMagicValue = 0x53726448;  // "HdrS"
inline constexpr uint16_t kFirstVersion = 0x20C;           // has xloadflags
inline constexpr uint16_t kXlfKernel64 = 1;
inline constexpr uint8_t kLoaderUndefined = 0xFF;
inline constexpr uint64_t kSectorSize = 512;
inline constexpr uint64_t kEntry64 = 0x200;  // of the 64-bit entry point, from the load address

}  // namespace banyan::loader::zero_page
