// Registers and commands of the floppy disk controller (Intel 82077AA data sheet, order number
// 290166), in PC AT mode.
#pragma once

#include <cstdint>

namespace banyan::fdc {

// Offsets from the first port (section 2.1).
enum Register : uint16_t {
    DIGITAL_OUTPUT = 2,  // rw
    TAPE_DRIVE = 3,      // rw
    MAIN_STATUS = 4,     // r; w: data rate select
    FIFO = 5,            // rw
    DIGITAL_INPUT = 7,   // r; w: configuration control
};

// Section 2.1.2 "Digital output register".
namespace dor {
inline constexpr uint8_t kNotReset = 0x04;
inline constexpr uint8_t kDmaGate = 0x08;  // interrupts and DMA requests reach the bus
}  // namespace dor

// Section 2.1.4 "Data rate select register".
namespace dsr {
inline constexpr uint8_t kRate = 0x03;
inline constexpr uint8_t kReset = 0x80;  // clears itself
}  // namespace dsr

// Section 2.1.5 "Main status register"; the low four bits: drive is seeking.
namespace msr {
inline constexpr uint8_t RQM = 0x80;      // the FIFO may be accessed
inline constexpr uint8_t DIO = 0x40;      // by a read
inline constexpr uint8_t NON_DMA = 0x20;  // execution phase without DMA
inline constexpr uint8_t BUSY = 0x10;     // a command is in progress
}  // namespace msr

// Section 2.1.7 "Digital input register".
inline constexpr uint8_t kDiskChanged = 0x80;

// Section 6.1 "Status register 0" to "Status register 3".
namespace st0 {
inline constexpr uint8_t kAbnormal = 0x40;
inline constexpr uint8_t kInvalid = 0x80;
inline constexpr uint8_t kPollingChange = 0xC0;  // after a reset
inline constexpr uint8_t kSeekEnd = 0x20;
inline constexpr uint8_t kEquipmentCheck = 0x10;
}  // namespace st0
namespace st1 {
inline constexpr uint8_t kEndOfCylinder = 0x80;
inline constexpr uint8_t kDataError = 0x20;
inline constexpr uint8_t kNoData = 0x04;
inline constexpr uint8_t kNotWritable = 0x02;
inline constexpr uint8_t kMissingAddressMark = 0x01;
}  // namespace st1
namespace st2 {
inline constexpr uint8_t kControlMark = 0x40;
inline constexpr uint8_t kDataError = 0x20;
inline constexpr uint8_t kWrongCylinder = 0x10;
}  // namespace st2
namespace st3 {
inline constexpr uint8_t kWriteProtected = 0x40;
inline constexpr uint8_t kTrack0 = 0x10;
inline constexpr uint8_t kAlwaysOne = 0x28;
}  // namespace st3

// Section 5.1 "Command set": the bits that name a command; MT, MFM and SK stand above them.
enum class Command : uint8_t {
    read_track = 0x02,
    specify = 0x03,
    sense_drive_status = 0x04,
    write_data = 0x05,
    read_data = 0x06,
    recalibrate = 0x07,
    sense_interrupt = 0x08,
    write_deleted = 0x09,
    read_id = 0x0A,
    read_deleted = 0x0C,
    format_track = 0x0D,
    dump_registers = 0x0E,
    seek = 0x0F,
    version = 0x10,
    perpendicular = 0x12,
    configure = 0x13,
    lock = 0x14,
    verify = 0x16,
};

inline constexpr uint8_t kMultiTrack = 0x80;
inline constexpr uint8_t kSkip = 0x20;
inline constexpr uint8_t kRelativeSeek = 0x80;  // with the code of SEEK
inline constexpr uint8_t kSeekInwards = 0x40;   // of a relative seek: to higher tracks
inline constexpr uint8_t kLock = 0x80;          // with the code of LOCK
inline constexpr uint8_t kEnableCount = 0x80;   // EC, in the second byte of VERIFY
inline constexpr uint8_t kVersion = 0x90;       // an 82077AA
inline constexpr uint8_t kImpliedSeek = 0x40;   // CONFIGURE: EIS
inline constexpr uint8_t kNoPolling = 0x10;     // CONFIGURE: POLL
inline constexpr uint8_t kNoFifo = 0x20;        // CONFIGURE: EFIFO
inline constexpr uint8_t kOverwrite = 0x80;     // PERPENDICULAR: OW
inline constexpr uint8_t kDriveBits = 0x3C;     // PERPENDICULAR: D3 to D0
inline constexpr uint8_t kNonDma = 0x01;        // SPECIFY: ND
inline constexpr uint8_t kSectorSizeCode = 2;   // N of 512 bytes

}  // namespace banyan::fdc
