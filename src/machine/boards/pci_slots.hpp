// PciSlots: bus 0 of the board: which function sits at which address, and where its BARs are on the
// buses and in guest memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "devices/pci/pci_bus.hpp"
#include "machine/boards/chip.hpp"
#include "machine/io_bus.hpp"
#include "machine/memory_map.hpp"
#include "support/mutex.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

class PciSlots final : public PciBarMapper {
public:
    static constexpr unsigned kMaxDevices = 32;

    struct Buses {
        MmioBus& mmio;
        PortBus& ports;
        GuestMemory& memory;
    };
    struct Function {
        PciFunction* function = nullptr;
        PciAddress address;
    };

    explicit PciSlots(const Buses& buses) : buses_(buses) {}

    // Where BARs may lie; once, while the board is built.
    void set_windows(std::vector<GpaRange> windows) { windows_ = std::move(windows); }
    // The lowest device number without a function; nothing: the bus is full.
    std::optional<uint8_t> free_device() const;
    // One more than the highest device number with a function.
    unsigned device_count() const;
    // While the board is built; `slot` holds the function.
    Result<void> add(PciHost& host, PciAddress address, PciFunction& function, DeviceSlot& slot);

    const std::vector<Function>& functions() const { return functions_; }

    bool map_memory(PciFunction& function, unsigned bar, Gpa start, uint64_t size,
                    MmioIo& handler) override;
    bool map_ram(PciFunction& function, unsigned bar, Gpa start) override;
    bool map_ports(PciFunction& function, unsigned bar, PortRange range, PortIo& handler) override;
    void unmap(PciFunction& function, unsigned bar) override;

private:
    // Mapped while `size` is not 0. One of the three says where.
    struct Bar {
        const PciFunction* function = nullptr;
        unsigned index = 0;
        MmioWindow* mmio = nullptr;
        PortWindow* ports = nullptr;
        std::optional<GuestMemory::WindowId> ram = {};
        uint64_t start = 0;
        uint64_t size = 0;
    };
    Result<void> add_bar(PciFunction& function, unsigned index, DeviceSlot& slot);
    Bar* find(const PciFunction& function, unsigned bar) REQUIRES(mutex_);
    bool taken(const Bar& bar, uint64_t start, uint64_t size) const REQUIRES(mutex_);
    bool in_a_window(Gpa start, uint64_t size) const;
    // The BAR, which is at this place now, or null.
    Bar* place(const PciFunction& function, unsigned bar, uint64_t start, uint64_t size)
        REQUIRES(mutex_);

    const Buses buses_;
    std::vector<GpaRange> windows_;
    std::vector<Function> functions_;
    Mutex mutex_;
    std::vector<Bar> bars_ GUARDED_BY(mutex_);
};

}  // namespace banyan
