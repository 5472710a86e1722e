// PortBus and MmioBus: which chip answers at a port or a physical address. They take the chip's
// lock (DeviceSlot), split what a chip cannot take in one piece, and give all ones where nobody
// answers.
//
// Threads: ranges are added while the board is built. After that, accesses come from every vCPU at
// once and take no lock but the device's. A PCI BAR that moves changes its window's one atomic
// base: an access that was already on its way still reaches the device, as if it had come before
// the move. Devices live as long as the buses.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "machine/device_slot.hpp"
#include "vm/address.hpp"
#include "vm/device.hpp"

namespace banyan {

// A range of ports whose place may change at any time. Its length and chip are fixed; the chip sees
// its ports from `native` on, wherever they are.
class PortWindow {
public:
    PortWindow(DeviceSlot& slot, PortIo& io, PortRange native)
        : slot_(slot), io_(io), native_(native) {}

    // False, and nothing is mapped, when the range would reach past the last port.
    bool map(uint16_t first);
    void unmap() { first_.store(kUnmapped, std::memory_order_release); }

private:
    friend class PortBus;
    static constexpr uint32_t kUnmapped = ~0U;

    DeviceSlot& slot_;
    PortIo& io_;
    const PortRange native_;
    std::atomic<uint32_t> first_{kUnmapped};
};

class PortBus {
public:
    // A range that is added later lies on top of earlier ones (the reset register 0xCF9 inside
    // PCI's 0xCF8..0xCFB).
    void add(DeviceSlot& slot, PortIo& io, PortRange range);
    // All port_ranges() of the slot's device.
    void add_device(DeviceSlot& slot);
    // A range that moves, and lies below all that do not. It starts unmapped.
    PortWindow& add_window(DeviceSlot& slot, PortIo& io, PortRange native);

    uint32_t read(uint16_t port, unsigned size);
    void write(uint16_t port, unsigned size, uint32_t value);

private:
    struct Entry {
        DeviceSlot* slot = nullptr;
        PortIo* io = nullptr;
        PortRange range;
    };
    // Who answers at a port, and what the port is to the chip.
    struct Hit {
        DeviceSlot* slot = nullptr;  // null: nobody
        PortIo* io = nullptr;
        uint16_t port = 0;
        unsigned left = 0;  // ports from here to the end of the range
    };
    Hit find(uint16_t port) const;
    Hit find_in_windows(uint16_t port) const;
    bool anybody(uint16_t port, unsigned size) const;
    bool must_split(const Hit& hit, IoStatus status, uint16_t port, unsigned size) const;

    std::vector<Entry> entries_;
    std::array<uint8_t, 65536> entry_at_{};  // 1 + index into entries_; 0: nobody, or a window
    std::vector<std::unique_ptr<PortWindow>> windows_;
};

// One range of the MMIO bus. Its length and chip are fixed, its place may change at any time.
class MmioWindow {
public:
    static constexpr uint64_t kUnmapped = ~uint64_t{0};

    MmioWindow(DeviceSlot& slot, MmioIo& io, uint64_t length)
        : slot_(slot), io_(io), length_(length) {}

    void map(Gpa base) { base_.store(base.value, std::memory_order_release); }
    void unmap() { base_.store(kUnmapped, std::memory_order_release); }

private:
    friend class MmioBus;
    DeviceSlot& slot_;
    MmioIo& io_;
    const uint64_t length_;  // bytes, a multiple of 8
    std::atomic<uint64_t> base_{kUnmapped};
};

class MmioBus {
public:
    // Windows that were added earlier win where windows overlap: fixed chips are added before PCI
    // BARs, so that a guest cannot move a BAR over the IO-APIC. The window starts unmapped.
    MmioWindow& add(DeviceSlot& slot, MmioIo& io, uint64_t length);

    // size 1..8; may be unaligned.
    uint64_t read(Gpa gpa, unsigned size);
    void write(Gpa gpa, unsigned size, uint64_t value);

private:
    struct Hit {
        MmioWindow* window = nullptr;
        uint64_t offset = 0;
    };
    Hit find(Gpa gpa) const;
    uint64_t read_piece(Gpa gpa, unsigned size);
    void write_piece(Gpa gpa, unsigned size, uint64_t value);

    std::vector<std::unique_ptr<MmioWindow>> windows_;
};

}  // namespace banyan
