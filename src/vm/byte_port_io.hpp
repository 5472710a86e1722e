// BytePortIo: PortIo for chips with an 8-bit data bus.
#pragma once

#include <cstdint>

#include "vm/device.hpp"

namespace banyan {

// An ISA bus runs a 16- or 32-bit access to an 8-bit chip as byte cycles to consecutive ports, the
// lowest first (OUT 70h, AX is a common way to write index and data of the CMOS). Bytes that fall
// behind the chip's last register float: they read as ones and are lost when written.
class BytePortIo : public PortIo {
public:
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) final {
        value = 0;
        IoStatus status = IoStatus::no_register;
        for (unsigned i = 0; i < size && i < 4; ++i) {
            uint8_t byte = 0xFF;
            if (read_byte(static_cast<uint16_t>(port + i), byte) == IoStatus::ok) {
                status = IoStatus::ok;
            } else {
                byte = 0xFF;
            }
            value |= static_cast<uint32_t>(byte) << (8 * i);
        }
        return status;
    }

    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) final {
        IoStatus status = IoStatus::no_register;
        for (unsigned i = 0; i < size && i < 4; ++i) {
            const auto byte = static_cast<uint8_t>(value >> (8 * i));
            if (write_byte(static_cast<uint16_t>(port + i), byte) == IoStatus::ok)
                status = IoStatus::ok;
        }
        return status;
    }

protected:
    ~BytePortIo() = default;

    virtual IoStatus read_byte(uint16_t port, uint8_t& value) = 0;
    virtual IoStatus write_byte(uint16_t port, uint8_t value) = 0;
};

}  // namespace banyan
