// Device: what a chip offers to the board that carries it.
//
// A device is given its wiring (GuestMemory, IrqLine, Clock, Timer, back ends) when it is made, and
// offers optional capabilities: port I/O, memory-mapped I/O. (PCI functions:
// devices/pci/pci_function.hpp.) It knows neither its interrupt numbers nor an operating system,
// and does not allocate on a guest's access.
//
// Threads: the bus holds the device's lock around every call (port_*, mmio_*, on_timer, save,
// restore, reset, back-end completions delivered through the board), so a device is written
// single-threaded.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "support/result.hpp"

namespace banyan {

class StateReader;
class StateWriter;

// What became of an access. The bus turns anything but ok into what hardware shows: reads give all
// ones, writes vanish.
enum class IoStatus : uint8_t {
    ok,
    no_register,  // nothing answers at this offset
    bad_size,     // the register cannot be accessed with this width
};

// `size` is 1, 2 or 4; `port` is absolute. A read's value is cut to its size by the bus.
class PortIo {
public:
    virtual IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) = 0;
    virtual IoStatus port_write(uint16_t port, unsigned size, uint32_t value) = 0;

protected:
    ~PortIo() = default;
};

// `offset` is relative to the range's start; `size` is 1, 2, 4 or 8 (the bus splits odd and
// crossing accesses).
class MmioIo {
public:
    virtual IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) = 0;
    virtual IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) = 0;

protected:
    ~MmioIo() = default;
};

struct PortRange {
    uint16_t first = 0;
    uint16_t count = 0;
};

class Device {
public:
    virtual ~Device() = default;

    // A short stable name, also the device's key in saved states ("uart16550", "ioapic").
    virtual std::string_view name() const = 0;

    // Back to the state after power-on. The wiring stays.
    virtual void reset() = 0;
    // Returns when the device waits for no back end: completions have come by then. save() does so
    // too.
    virtual void drain() const {}

    virtual void save(StateWriter& writer) const = 0;
    // Validates; on an error the device is as after reset().
    virtual Result<void> restore(StateReader& reader) = 0;

    // Capabilities; null and empty where a device has none.
    virtual PortIo* pio() { return nullptr; }
    virtual std::span<const PortRange> port_ranges() const { return {}; }
    virtual MmioIo* mmio() { return nullptr; }
};

}  // namespace banyan
