// Registers and structures of "Serial ATA Advanced Host Controller Interface (AHCI) 1.3.1".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::ahci {

// 3.1 "Generic Host Control".
enum class Hba : uint16_t {
    CAP = 0x00,
    GHC = 0x04,
    IS = 0x08,
    PI = 0x0c,
    VS = 0x10,
    CAP2 = 0x24,
};

inline constexpr uint32_t kVersion = 0x0001'0301;
inline constexpr uint32_t kGhcReset = bit<uint32_t>(0);
inline constexpr uint32_t kGhcInterruptEnable = bit<uint32_t>(1);
inline constexpr uint32_t kGhcAhciEnable = bit<uint32_t>(31);

// 3.1.1 CAP: command slots minus one, AHCI only, Gen 2, command list override, NCQ, 64 bits.
inline constexpr unsigned kCapSlotsShift = 8;
inline constexpr uint32_t kCapAhciOnly = bit<uint32_t>(18);
inline constexpr uint32_t kCapGen2 = 2U << 20;
inline constexpr uint32_t kCapCommandListOverride = bit<uint32_t>(24);
inline constexpr uint32_t kCapNcq = bit<uint32_t>(30);
inline constexpr uint32_t kCap64Bit = bit<uint32_t>(31);

inline constexpr uint16_t kPortsStart = 0x100;
inline constexpr uint16_t kPortSize = 0x80;

// 3.3 "Port Registers".
enum class Port : uint8_t {
    CLB = 0x00,
    CLBU = 0x04,
    FB = 0x08,
    FBU = 0x0c,
    IS = 0x10,
    IE = 0x14,
    CMD = 0x18,
    TFD = 0x20,
    SIG = 0x24,
    SSTS = 0x28,
    SCTL = 0x2c,
    SERR = 0x30,
    SACT = 0x34,
    CI = 0x38,
};

// 3.3.5 PxIS; PxIE has the same bits.
inline constexpr uint32_t kIsRegisterFis = bit<uint32_t>(0);    // DHRS
inline constexpr uint32_t kIsPioSetup = bit<uint32_t>(1);       // PSS
inline constexpr uint32_t kIsSetDeviceBits = bit<uint32_t>(3);  // SDBS
inline constexpr uint32_t kIsDescriptor = bit<uint32_t>(5);     // DPS
inline constexpr uint32_t kIsConnectChange = bit<uint32_t>(6);  // PCS: PxSERR.DIAG.X
inline constexpr uint32_t kIsOverflow = bit<uint32_t>(24);      // OFS
inline constexpr uint32_t kIsInterfaceFatal = bit<uint32_t>(27);
inline constexpr uint32_t kIsHostBusFatal = bit<uint32_t>(29);
inline constexpr uint32_t kIsTaskFileError = bit<uint32_t>(30);
inline constexpr uint32_t kIeWritable = 0x7dc0'007f;

// 3.3.7 PxCMD.
inline constexpr uint32_t kCmdStart = bit<uint32_t>(0);
inline constexpr uint32_t kCmdSpinUp = bit<uint32_t>(1);
inline constexpr uint32_t kCmdPowerOn = bit<uint32_t>(2);
inline constexpr uint32_t kCmdListOverride = bit<uint32_t>(3);
inline constexpr uint32_t kCmdFisReceive = bit<uint32_t>(4);
inline constexpr unsigned kCmdCurrentSlotShift = 8;
inline constexpr uint32_t kCmdCurrentSlot = mask<uint32_t>(12, 8);
inline constexpr uint32_t kCmdFisRunning = bit<uint32_t>(14);
inline constexpr uint32_t kCmdListRunning = bit<uint32_t>(15);
// What is kept as it is written: ATAPI, DLAE, ALPE, ASP.
inline constexpr uint32_t kCmdKept = mask<uint32_t>(27, 24);

// 3.3.10 PxSSTS and 3.3.11 PxSCTL.
inline constexpr uint32_t kLinkUp = 0x123;  // active, Gen 2, a device with communication
inline constexpr uint32_t kLinkOffline = 0x004;
inline constexpr uint32_t kDetectMask = 0xf;
inline constexpr uint32_t kDetectReset = 1;
inline constexpr uint32_t kDetectOffline = 4;
inline constexpr uint32_t kSctlWritable = 0xfff;

inline constexpr uint32_t kSerrExchanged = bit<uint32_t>(26);  // DIAG.X

inline constexpr uint32_t kNoSignature = 0xffff'ffff;
inline constexpr uint32_t kNoTaskFile = 0x7f;

inline constexpr unsigned kSlots = 32;

// 4.2.2 "Command List Structure".
struct CommandHeader {
    le16 flags;
    le16 prdt_length;
    le32 prd_byte_count;
    le64 command_table;
    uint8_t reserved[16] = {};
};
static_assert(sizeof(CommandHeader) == 32);
inline constexpr uint64_t kPrdByteCountOffset = 4;
inline constexpr uint16_t kHeaderFisLength = 0x1f;  // in double words

// 4.2.3 "Command Table".
inline constexpr size_t kCommandPacketSize = 16;
struct CommandTable {
    std::array<uint8_t, 64> fis{};
    std::array<uint8_t, kCommandPacketSize> packet{};
    std::array<uint8_t, 48> reserved{};
    // The descriptors of physical regions follow.
};
static_assert(sizeof(CommandTable) == 0x80);

// Serial ATA 3.0, 10.3 "FIS types".
inline constexpr uint8_t kFisHostToDevice = 0x27;
inline constexpr uint8_t kFisDeviceToHost = 0x34;
inline constexpr uint8_t kFisPioSetup = 0x5f;
inline constexpr uint8_t kFisSetDeviceBits = 0xa1;
inline constexpr uint8_t kFisCommand =
    bit<uint8_t>(7);  // byte 1: a command, not the control register
inline constexpr uint8_t kFisInterrupt = bit<uint8_t>(6);  // byte 1
inline constexpr uint8_t kFisToHost = bit<uint8_t>(5);     // byte 1 of PIO Setup
inline constexpr uint8_t kFisPortMask = 0xf;               // byte 1: port of a multiplier

// 4.2.1 "Received FIS Structure".
inline constexpr uint64_t kReceivedPioSetup = 0x20;
inline constexpr uint64_t kReceivedRegister = 0x40;
inline constexpr uint64_t kReceivedSetDeviceBits = 0x58;

}  // namespace banyan::ahci
