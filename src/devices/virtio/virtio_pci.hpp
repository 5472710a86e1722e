// VirtioPci: virtio over PCI, modern interface only (virtio 1.2, section 4.1). BAR 0 has the virtio
// structures, each on a page of its own; BAR 2 has the MSI-X table.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/pci/msix.hpp"
#include "devices/pci/pci_function.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "devices/virtio/virtio_pci_state.hpp"
#include "vm/clock.hpp"
#include "vm/irq.hpp"

namespace banyan {

struct VirtioPciWiring {
    PciBarMapper& mapper;
    MsiSink& msi;
    const Clock& clock;
    TimerService& timers;  // for work that is continued later
    IrqLine intx = {};
};

class VirtioPci final : public PciFunction,
                        private MmioIo,
                        private VirtioTransport,
                        private TimerClient {
public:
    // Its BARs, and how large they are; that of MSI-X for up to 64 queues.
    static constexpr unsigned kRegistersBar = 0;
    static constexpr uint64_t kRegistersSize = 4 * kPageSize;
    static constexpr unsigned kMsixBar = 2;
    static constexpr uint64_t kMsixSize = kPageSize;

    VirtioPci(std::unique_ptr<VirtioDevice> device, const VirtioPciWiring& wiring);

    std::string_view name() const override { return device_->identity().name; }
    void reset() override;
    void drain() const override { device_->drain(); }
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

private:
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;
    IoStatus common_read(uint64_t offset, unsigned size, uint64_t& value) const;
    IoStatus common_write(uint64_t offset, unsigned size, uint64_t value);
    uint64_t read_common(virtio::Common reg) const;
    void write_common(virtio::Common reg, uint64_t value);
    uint64_t read_queue(virtio::Common reg) const;
    void write_queue(virtio::Common reg, uint64_t value);
    IoStatus isr_read(uint64_t offset, uint64_t& value);
    IoStatus device_config_read(uint64_t offset, unsigned size, uint64_t& value) const;
    IoStatus device_config_write(uint64_t offset, unsigned size, uint64_t value);
    IoStatus notify_write(uint64_t offset);
    void write_driver_feature(uint32_t value);
    void write_device_status(uint8_t value);
    uint16_t valid_vector(uint64_t vector) const;

    // An access through the PCI configuration capability.
    struct Window {
        MmioIo* handler;
        uint64_t offset;
        unsigned size;
    };
    bool window(uint16_t offset, unsigned size, Window& window) const;
    void on_config_read(uint16_t offset, unsigned size) override;
    void on_config_written(uint16_t offset, unsigned size) override;

    void queue_interrupt(unsigned queue) override;
    void config_interrupt() override;
    void run_later(unsigned queue) override;
    void on_timer(unsigned cookie) override;

    void add_virtio_capabilities();
    void reset_transport();
    Result<void> restore_all(StateReader& reader);
    Result<void> restore_transport(StateReader& reader);

    // configuration
    uint16_t pci_cfg_capability_ = 0;
    // wiring
    const Clock& clock_;
    std::unique_ptr<Timer> timer_;
    // bookkeeping
    uint64_t run_later_ = 0;  // a bit for each queue
    // sub-devices
    std::unique_ptr<VirtioDevice> device_;
    Msix msix_;
    // guest-visible state
    VirtioPciStateV1 registers_;
};

}  // namespace banyan
