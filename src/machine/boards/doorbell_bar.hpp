// DoorbellBar: a memory BAR with doorbells, between the MMIO bus and its function, for engines that
// take doorbells off their vCPUs.
//
// A doorbell goes to the engine when the guest first writes it where its BAR is: firmware and
// kernels move BARs about, and switch them off and on, long before that.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "devices/pci/pci_bar.hpp"
#include "machine/device_slot.hpp"
#include "vm/doorbells.hpp"

namespace banyan {

class DoorbellBar final : public MmioIo, private DoorbellClient {
public:
    // `slot` is that of the function; all outlive this.
    static Result<std::unique_ptr<DoorbellBar>> create(DeviceSlot& slot, const PciBar& bar,
                                                       EngineDoorbells& engine);

    // With the slot's lock held, as all that follows.
    void map(Gpa start);
    void unmap();

    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override {
        return bar_.memory->mmio_read(offset, size, value);
    }
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

private:
    enum class Place : uint8_t { nowhere, engine, refused };
    struct Bell {
        std::unique_ptr<Doorbell> doorbell;
        Place place = Place::nowhere;
    };

    DoorbellBar(DeviceSlot& slot, const PciBar& bar) : slot_(slot), bar_(bar) {}
    uint32_t offset_of(unsigned index) const {
        return bar_.doorbells.offset + index * bar_.doorbells.stride;
    }
    Bell* find(uint64_t offset);
    void on_doorbell(unsigned index) override;

    DeviceSlot& slot_;
    const PciBar bar_;
    std::vector<Bell> bells_;
    std::optional<Gpa> start_;  // where the BAR is mapped
};

}  // namespace banyan
