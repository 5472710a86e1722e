// Registers of the PC16550D (National Semiconductor data sheet, June 1995, section 8 "Registers").
#pragma once

#include <cstdint>

namespace banyan::uart {

// Offsets from the base port.
enum Reg8 : uint16_t {
    RBR_THR_DLL =
        0,        // r receiver buffer, w transmitter holding; DLAB=1: rw divisor latch, low byte
    IER_DLM = 1,  // rw interrupt enable; DLAB=1: divisor latch, high byte
    IIR_FCR = 2,  // r interrupt identification, w FIFO control
    LCR = 3,      // rw line control
    MCR = 4,      // rw modem control
    LSR = 5,      // r line status (writes are for factory tests)
    MSR = 6,      // r modem status
    SCR = 7,      // rw scratch
};
inline constexpr uint16_t kRegisterCount = 8;

namespace ier {
inline constexpr uint8_t ERBFI = 0x01;  // received data available, character time-out
inline constexpr uint8_t ETBEI = 0x02;  // transmitter holding register empty
inline constexpr uint8_t ELSI = 0x04;   // receiver line status
inline constexpr uint8_t EDSSI = 0x08;  // modem status
inline constexpr uint8_t kMask = 0x0F;
}  // namespace ier

namespace iir {
inline constexpr uint8_t kNone = 0x01;
inline constexpr uint8_t kModemStatus = 0x00;
inline constexpr uint8_t kTransmitterEmpty = 0x02;
inline constexpr uint8_t kDataAvailable = 0x04;
inline constexpr uint8_t kLineStatus = 0x06;
inline constexpr uint8_t kCharacterTimeout = 0x0C;
inline constexpr uint8_t kFifosEnabled = 0xC0;
}  // namespace iir

namespace fcr {
inline constexpr uint8_t kEnable = 0x01;
inline constexpr uint8_t kResetReceive = 0x02;
inline constexpr uint8_t kResetTransmit = 0x04;
inline constexpr uint8_t kKept = 0xC9;  // trigger level, DMA mode, enable
}  // namespace fcr

namespace lcr {
inline constexpr uint8_t kSetBreak = 0x40;
inline constexpr uint8_t kDlab = 0x80;
}  // namespace lcr

namespace mcr {
inline constexpr uint8_t DTR = 0x01;
inline constexpr uint8_t RTS = 0x02;
inline constexpr uint8_t OUT1 = 0x04;
inline constexpr uint8_t OUT2 = 0x08;
inline constexpr uint8_t kLoop = 0x10;
inline constexpr uint8_t kMask = 0x1F;
}  // namespace mcr

namespace lsr {
inline constexpr uint8_t DR = 0x01;    // data ready
inline constexpr uint8_t OE = 0x02;    // overrun error
inline constexpr uint8_t PE = 0x04;    // parity error
inline constexpr uint8_t FE = 0x08;    // framing error
inline constexpr uint8_t BI = 0x10;    // break interrupt
inline constexpr uint8_t THRE = 0x20;  // transmitter holding register empty
inline constexpr uint8_t TEMT = 0x40;  // transmitter empty
inline constexpr uint8_t kFifoError = 0x80;
inline constexpr uint8_t kCharacterErrors = PE | FE | BI;
}  // namespace lsr

namespace msr {
inline constexpr uint8_t DCTS = 0x01;
inline constexpr uint8_t DDSR = 0x02;
inline constexpr uint8_t TERI = 0x04;
inline constexpr uint8_t DDCD = 0x08;
inline constexpr uint8_t CTS = 0x10;
inline constexpr uint8_t DSR = 0x20;
inline constexpr uint8_t RI = 0x40;
inline constexpr uint8_t DCD = 0x80;
inline constexpr uint8_t kDeltas = 0x0F;
}  // namespace msr

}  // namespace banyan::uart
