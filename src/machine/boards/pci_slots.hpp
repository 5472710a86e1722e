// PciSlots: bus 0 of the board: which function sits at which address, and where its BARs are on the
// buses and in guest memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "devices/pci/pci_bus.hpp"
#include "machine/boards/chip.hpp"
#include "machine/boards/doorbell_bar.hpp"
#include "machine/boards/switched_mmio.hpp"
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
        EngineDoorbells* doorbells = nullptr;  // null: no BAR has any
    };
    struct Function {
        PciFunction* function = nullptr;
        PciAddress address;
    };

    // A memory BAR that functions at a place have.
    struct BarShape {
        unsigned index = 0;
        uint64_t size = 0;
    };

    explicit PciSlots(const Buses& buses) : buses_(buses) {}

    // Where BARs may lie; once, while the board is built.
    void set_windows(std::vector<GpaRange> windows) { windows_ = std::move(windows); }
    // The lowest and the highest device number without a function or place; nothing: the bus is
    // full.
    std::optional<uint8_t> free_device() const;
    std::optional<uint8_t> last_free_device() const;
    // One more than the highest device number with a function or place.
    unsigned device_count() const;
    // While the board is built; `slot` holds the function.
    Result<void> add(PciHost& host, PciAddress address, PciFunction& function, DeviceSlot& slot);

    // A place for functions that come and go while vCPUs run; while the board is built. `slot` is
    // to hold them. The windows on the bus stay, and what answers there changes.
    void add_place(PciAddress address, DeviceSlot& slot, std::span<const BarShape> bars);
    // What is at a free place is found by its BARs from now on, but not yet by configuration space.
    // On the thread that builds the board, without locks.
    Result<void> connect(PciAddress address, PciFunction& function);
    // The place is free again, but for accesses that are on their way from the engine's doorbells.
    // None of the function's BARs is mapped. With the function's lock held.
    void disconnect(PciAddress address);
    // No access is on its way any more. On the thread of connect(), without locks.
    void release(PciAddress address);

    // Calls function(PciFunction&, PciAddress) for each that there is; it must not map BARs.
    template <class Visit>
    void for_each_function(Visit visit) const {
        MutexLock lock(mutex_);
        for (const Function& f : functions_)
            visit(*f.function, f.address);
    }

    bool map_memory(PciFunction& function, unsigned bar, Gpa start, uint64_t size,
                    MmioIo& handler) override;
    bool map_ram(PciFunction& function, unsigned bar, Gpa start) override;
    bool map_ports(PciFunction& function, unsigned bar, PortRange range, PortIo& handler) override;
    void unmap(PciFunction& function, unsigned bar) override;

private:
    struct PlaceBar {
        BarShape shape;
        SwitchedMmio handler;
        MmioWindow* window = nullptr;
        std::unique_ptr<DoorbellBar> doorbells;  // null: none
    };
    struct Place {
        PciAddress address;
        DeviceSlot& slot;
        std::vector<std::unique_ptr<PlaceBar>> bars;
        PciFunction* function = nullptr;  // with the slot's lock held
    };
    // Mapped while `size` is not 0. One of the three says where.
    struct Bar {
        const PciFunction* function = nullptr;
        unsigned index = 0;
        MmioWindow* mmio = nullptr;
        DoorbellBar* doorbells = nullptr;  // between its handler and the bus; null: none
        PortWindow* ports = nullptr;
        std::optional<GuestMemory::WindowId> ram = {};
        uint64_t start = 0;
        uint64_t size = 0;
    };
    bool used(uint8_t device) const;
    Place& place_at(PciAddress address);
    Result<void> make_doorbells(Place& place, const PciFunction& function);
    Result<void> add_bar(PciFunction& function, unsigned index, DeviceSlot& slot);
    Result<void> add_memory(Bar& bar, const PciBar& what, DeviceSlot& slot);
    Bar* find(const PciFunction& function, unsigned bar) REQUIRES(mutex_);
    bool taken(const Bar& bar, uint64_t start, uint64_t size) const REQUIRES(mutex_);
    bool in_a_window(Gpa start, uint64_t size) const;
    // The BAR, which is at this place now, or null.
    Bar* place(const PciFunction& function, unsigned bar, uint64_t start, uint64_t size)
        REQUIRES(mutex_);

    const Buses buses_;
    std::vector<GpaRange> windows_;
    std::vector<std::unique_ptr<DoorbellBar>> doorbells_;
    std::vector<std::unique_ptr<Place>> places_;
    mutable Mutex mutex_;
    std::vector<Function> functions_ GUARDED_BY(mutex_);
    std::vector<Bar> bars_ GUARDED_BY(mutex_);
};

}  // namespace banyan
