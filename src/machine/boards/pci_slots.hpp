// PciSlots: bus 0 of the board: which function sits at which device number, and where its BARs are
// on the MMIO bus.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/pci/pci_bus.hpp"
#include "machine/boards/chip.hpp"
#include "machine/boards/doorbell_bar.hpp"
#include "machine/io_bus.hpp"
#include "support/mutex.hpp"

namespace banyan {

class PciSlots final : public PciBarMapper {
public:
    // Device number 0 is the host bridge.
    static constexpr unsigned kMaxDevices = 32;

    // `doorbells` may be null.
    PciSlots(MmioBus& bus, EngineDoorbells* doorbells) : bus_(bus), doorbells_(doorbells) {}

    // The device number of the next function to be added.
    unsigned next_device() const { return static_cast<unsigned>(functions_.size()) + 1; }
    bool full() const { return next_device() == kMaxDevices; }
    // While the board is built; `chip` holds the function.
    Result<void> add(PciHost& host, PciFunction& function, DeviceSlot& slot);

    // The functions from device number 1 on.
    const std::vector<PciFunction*>& functions() const { return functions_; }

    bool map_memory(PciFunction& function, unsigned bar, Gpa start, uint64_t size,
                    MmioIo& handler) override;
    // There is no window for I/O BARs: virtio's modern interface needs none.
    bool map_ports(PciFunction& function, unsigned bar, PortRange range, PortIo& handler) override;
    void unmap(PciFunction& function, unsigned bar) override;

private:
    // A memory BAR. Mapped while `size` is not 0.
    struct Bar {
        const PciFunction* function = nullptr;
        unsigned index = 0;
        MmioWindow* window = nullptr;
        std::unique_ptr<DoorbellBar> doorbells = nullptr;  // null: it has none
        Gpa start;
        uint64_t size = 0;
    };
    Result<void> add_bar(PciFunction& function, unsigned index, DeviceSlot& slot) REQUIRES(mutex_);
    Bar* find(const PciFunction& function, unsigned bar) REQUIRES(mutex_);
    bool taken(Gpa start, uint64_t size) const REQUIRES(mutex_);

    MmioBus& bus_;
    EngineDoorbells* const doorbells_;
    std::vector<PciFunction*> functions_;
    Mutex mutex_;  // leaf
    std::vector<Bar> bars_ GUARDED_BY(mutex_);
};

}  // namespace banyan
