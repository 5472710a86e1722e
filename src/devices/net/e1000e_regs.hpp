// Registers and descriptors of the 82574L (Intel 82574 GbE Controller Family Datasheet 317694,
// chapters 7 and 10).
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/le.hpp"
#include "support/reg.hpp"

namespace banyan::e1000e {

inline constexpr uint32_t kRegistersSize = 128 << 10;
inline constexpr uint32_t kPortsSize = 32;
// Behind this nothing is kept.
inline constexpr uint32_t kLastRegister = 0x6000;

// Section 10.2. Those that are not named here keep what was written.
enum Offset : uint32_t {
    CTRL = 0x00000,
    STATUS = 0x00008,
    EECD = 0x00010,
    EERD = 0x00014,
    CTRL_EXT = 0x00018,
    MDIC = 0x00020,
    VET = 0x00038,
    ICR = 0x000C0,
    ICS = 0x000C8,
    IMS = 0x000D0,
    IMC = 0x000D8,
    EIAC = 0x000DC,
    IAM = 0x000E0,
    IVAR = 0x000E4,
    RCTL = 0x00100,
    TCTL = 0x00400,
    EEMNGCTL = 0x01010,
    EEWR = 0x0102C,
    PSRCTL = 0x02170,
    RDBAL = 0x02800,
    RDBAH = 0x02804,
    RDLEN = 0x02808,
    RDH = 0x02810,
    RDT = 0x02818,
    TDBAL = 0x03800,
    TDBAH = 0x03804,
    TDLEN = 0x03808,
    TDH = 0x03810,
    TDT = 0x03818,
    FIRST_STATISTIC = 0x04000,
    PRC64 = 0x0405C,  // then those of 127, 255, 511, 1023 and 1522 bytes
    GPRC = 0x04074,
    BPRC = 0x04078,
    MPRC = 0x0407C,
    GPTC = 0x04080,
    GORCL = 0x04088,
    GOTCL = 0x04090,
    RNBC = 0x040A0,
    ROC = 0x040AC,
    TORL = 0x040C0,
    TOTL = 0x040C8,
    TPR = 0x040D0,
    TPT = 0x040D4,
    PTC64 = 0x040D8,
    MPTC = 0x040F0,
    BPTC = 0x040F4,
    TSCTC = 0x040F8,
    LAST_STATISTIC = 0x04124,
    RFCTL = 0x05008,
    MTA = 0x05200,  // 128 words
    RAL = 0x05400,  // 16 pairs
    RAH = 0x05404,
    VFTA = 0x05600,  // 128 words
    SWSM = 0x05B50,
};
inline constexpr unsigned kReceiveAddresses = 16;

// Section 10.2.2.1.
struct Ctrl : Reg<uint32_t> {
    static constexpr uint32_t kMasterDisable = 1U << 2;
    static constexpr uint32_t kReset = 1U << 26;
    static constexpr uint32_t kVlanMode = 1U << 30;
    static constexpr uint32_t kPhyReset = 1U << 31;
    static constexpr uint32_t kAtReset = 0x0014'0240;
};
// Section 10.2.2.2.
inline constexpr uint32_t kStatusFullDuplex = 1U << 0;
inline constexpr uint32_t kStatusLinkUp = 1U << 1;
inline constexpr uint32_t kStatusGigabit = 2U << 6;
inline constexpr uint32_t kStatusMaster = 1U << 19;
// Section 10.2.2.3: an EEPROM of 64 words, which has been read.
inline constexpr uint32_t kEecdPresentAndRead = 0x300;
// Section 10.2.2.5.
inline constexpr uint32_t kExtEepromReset = 1U << 13;
inline constexpr uint32_t kExtAutoMask = 1U << 27;         // IAME
inline constexpr uint32_t kExtMessageAutoMask = 1U << 24;  // EIAME
// Sections 10.2.2.4 and 10.2.2.35.
inline constexpr uint32_t kNvmStart = 1;
inline constexpr uint32_t kNvmDone = 2;
inline constexpr uint32_t kNvmConfigured = 1U << 18;  // EEMNGCTL
inline constexpr uint32_t kSemaphore = 1;             // SWSM

// Section 10.2.2.7.
struct MdiControl : Reg<uint32_t> {
    using Data = Field<MdiControl, 15, 0, uint16_t>;
    using Register = Field<MdiControl, 20, 16, uint8_t>;
    using Phy = Field<MdiControl, 25, 21, uint8_t>;
    using Operation = Field<MdiControl, 27, 26, uint8_t>;
    using Ready = Field<MdiControl, 28, 28, bool>;
    using Interrupt = Field<MdiControl, 29, 29, bool>;
    using Error = Field<MdiControl, 30, 30, bool>;
};
inline constexpr uint8_t kMdiWrite = 1;
inline constexpr uint8_t kMdiRead = 2;

// Section 10.2.4.1.
enum Cause : uint32_t {
    TRANSMITTED = 1U << 0,
    TRANSMIT_QUEUE_EMPTY = 1U << 1,
    LINK_CHANGED = 1U << 2,
    FEW_RECEIVE_DESCRIPTORS = 1U << 4,
    RECEIVER_OVERRUN = 1U << 6,
    RECEIVED = 1U << 7,
    MDI_DONE = 1U << 9,
    RECEIVE_QUEUE_0 = 1U << 20,
    RECEIVE_QUEUE_1 = 1U << 21,
    TRANSMIT_QUEUE_0 = 1U << 22,
    TRANSMIT_QUEUE_1 = 1U << 23,
    OTHER = 1U << 24,
    ASSERTED = 1U << 31,
};
inline constexpr uint32_t kOtherCauses = LINK_CHANGED | RECEIVER_OVERRUN | MDI_DONE;
inline constexpr uint32_t kAllCauses = 0x01FF'FFFF;
inline constexpr unsigned kMessages = 5;

// Section 10.2.5.1.
struct ReceiveControl : Reg<uint32_t> {
    using Enable = Field<ReceiveControl, 1, 1, bool>;
    using UnicastPromiscuous = Field<ReceiveControl, 3, 3, bool>;
    using MulticastPromiscuous = Field<ReceiveControl, 4, 4, bool>;
    using LongPackets = Field<ReceiveControl, 5, 5, bool>;
    using Threshold = Field<ReceiveControl, 9, 8, uint8_t>;  // 1/2, 1/4, 1/8 of the ring
    using DescriptorType = Field<ReceiveControl, 11, 10, uint8_t>;
    using MulticastOffset = Field<ReceiveControl, 13, 12, uint8_t>;
    using Broadcast = Field<ReceiveControl, 15, 15, bool>;
    using BufferSize = Field<ReceiveControl, 17, 16, uint8_t>;
    using VlanFilter = Field<ReceiveControl, 18, 18, bool>;
    using SizeExtension = Field<ReceiveControl, 25, 25, bool>;
    using StripCrc = Field<ReceiveControl, 26, 26, bool>;
    using FlexBuffer = Field<ReceiveControl, 30, 27, uint8_t>;  // KiB, if not 0
};
inline constexpr uint8_t kPacketSplit = 1;
inline constexpr uint32_t kExtendedDescriptors = 1U << 15;  // RFCTL
inline constexpr uint32_t kTransmitEnable = 1U << 1;        // TCTL
inline constexpr uint32_t kAddressValid = 1U << 31;         // RAH

// Section 7.1.4 and 7.1.5: what is written back to a receive descriptor; the first, "legacy" form
// has an address in front.
struct LegacyReceive {
    le64 address;
    le16 length;
    le16 checksum;
    uint8_t status = 0;
    uint8_t errors = 0;
    le16 vlan;
};
static_assert(sizeof(LegacyReceive) == 16);
struct ExtendedReceive {
    le32 hash_type;
    le32 hash;
    le32 status;  // errors from bit 20 on
    le16 length;
    le16 vlan;
};
static_assert(sizeof(ExtendedReceive) == 16);
// Behind an ExtendedReceive.
struct SplitReceive {
    le16 header_status;
    le16 lengths[3];
    le64 reserved;
};
static_assert(sizeof(SplitReceive) == 16);
enum ReceiveStatus : uint8_t {
    RX_DONE = 1,
    RX_END_OF_PACKET = 2,
    RX_IGNORE_CHECKSUM = 4,
    RX_VLAN = 8,
    RX_UDP_CHECKED = 0x10,
    RX_TCP_CHECKED = 0x20,
    RX_IP_CHECKED = 0x40,
};

// Section 7.2.2 and on: all forms of transmit descriptors.
struct TransmitDescriptor {
    le64 low;
    le32 command;
    le32 high;
};
static_assert(sizeof(TransmitDescriptor) == 16);
struct TransmitCommand : Reg<uint32_t> {
    using LegacyLength = Field<TransmitCommand, 15, 0, uint16_t>;
    using LegacyChecksumOffset = Field<TransmitCommand, 23, 16, uint8_t>;
    using Length = Field<TransmitCommand, 19, 0, uint32_t>;
    using Type = Field<TransmitCommand, 23, 20, uint8_t>;
    // DCMD, or CMD of a legacy descriptor.
    using EndOfPacket = Field<TransmitCommand, 24, 24, bool>;
    using SegmentIt = Field<TransmitCommand, 26, 26, bool>;  // legacy: insert a checksum
    using Report = Field<TransmitCommand, 27, 27, bool>;
    using Extended = Field<TransmitCommand, 29, 29, bool>;
    using Vlan = Field<TransmitCommand, 30, 30, bool>;
    // TUCMD, of a context.
    using ContextTcp = Field<TransmitCommand, 24, 24, bool>;
    using ContextIpv4 = Field<TransmitCommand, 25, 25, bool>;
};
inline constexpr uint8_t kContextType = 0;
inline constexpr uint8_t kTransmitDone = 1;
inline constexpr uint8_t kInsertIpChecksum = 1;  // POPTS
inline constexpr uint8_t kInsertTransportChecksum = 2;

inline constexpr size_t kCrcSize = 4;
inline constexpr size_t kVlanTagSize = 4;
// Without check sequence; shorter frames are padded.
inline constexpr size_t kShortestFrame = 60;
inline constexpr uint64_t kDescriptorSize = 16;
inline constexpr uint64_t kSplitDescriptorSize = 32;

}  // namespace banyan::e1000e
