// BARs: the address ranges of a PCI function that the guest places where it likes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vm/address.hpp"
#include "vm/device.hpp"

namespace banyan {

class PciFunction;

enum class PciBarKind : uint8_t { none, memory32, memory64, io };

// One BAR as the function was made. A memory64 BAR takes the next index too, which then has kind
// none.
struct PciBar {
    PciBarKind kind = PciBarKind::none;
    uint64_t size = 0;              // a power of two; memory at least 16, ports 4..256
    MmioIo* memory = nullptr;       // the handler of a memory BAR
    PortIo* ports = nullptr;        // the handler of an I/O BAR
    std::span<std::byte> ram = {};  // a memory BAR without a handler: memory, as vCPUs see it
};

// The board's side: puts BARs on the memory and port buses.
//
// Called with the function's lock held (and that of the PciHost, if a vCPU caused it). A bus must
// therefore not hold the lock of its table while it waits for a device's lock.
class PciBarMapper {
public:
    // False when the range is outside the windows for PCI, or taken: then the BAR answers nowhere,
    // and the call is made again when another function's BAR has gone away. A BAR that is mapped is
    // unmapped before it is mapped elsewhere.
    virtual bool map_memory(PciFunction& function, unsigned bar, Gpa start, uint64_t size,
                            MmioIo& handler) = 0;
    virtual bool map_ram(PciFunction& function, unsigned bar, Gpa start) = 0;
    // The handler sees ports from 0 on.
    virtual bool map_ports(PciFunction& function, unsigned bar, PortRange range,
                           PortIo& handler) = 0;
    virtual void unmap(PciFunction& function, unsigned bar) = 0;

protected:
    ~PciBarMapper() = default;
};

}  // namespace banyan
