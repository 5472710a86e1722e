// Ahci: the SATA controller of an ICH9 in AHCI mode (AHCI 1.3.1; Intel ICH9 datasheet, 15) as a
// PCI function: six ports of 32 slots, native command queuing, one interrupt, by MSI or INTx.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "devices/pci/pci_function.hpp"
#include "devices/storage/ahci_port.hpp"
#include "devices/storage/ahci_state.hpp"
#include "vm/clock.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

struct AhciWiring {
    GuestMemory& memory;
    PciBarMapper& mapper;
    MsiSink& msi;
    const Clock& clock;
    TimerService& timers;  // for commands that are begun later
    IrqLine intx = {};
};

class Ahci final : public PciFunction, private MmioIo, private AhciPortHost, private TimerClient {
public:
    static constexpr unsigned kPorts = 6;
    static constexpr unsigned kBar = 5;
    static constexpr uint64_t kBarSize = 0x1000;

    explicit Ahci(const AhciWiring& wiring);

    // While the board is built; the port is free and below kPorts.
    void attach(unsigned port, std::unique_ptr<AtaDevice> device);

    std::string_view name() const override { return "ahci"; }
    void reset() override;
    void drain() const override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

private:
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;
    uint32_t read_register(uint64_t offset) const;
    void write_register(uint64_t offset, uint32_t value);
    uint32_t read_hba(ahci::Hba reg) const;
    void write_hba(ahci::Hba reg, uint32_t value);
    void write_control(uint32_t value);
    void reset_hba();
    void on_config_written(uint16_t offset, unsigned size) override;
    void port_event() override;
    void port_cleared() override;
    void run_later() override;
    void on_timer(unsigned cookie) override;
    // Sets the wire as it has to be. True: there is something to tell of.
    bool update_wire();
    void send_message();
    Result<void> restore_all(StateReader& reader);

    // configuration
    uint16_t msi_capability_ = 0;
    // wiring
    MsiSink& msi_;
    const Clock& clock_;
    std::unique_ptr<Timer> timer_;
    // sub-devices
    std::array<std::unique_ptr<AhciPort>, kPorts> ports_;
    // guest-visible state
    uint32_t control_ = ahci::kGhcAhciEnable;
    uint32_t interrupt_status_ = 0;
};

}  // namespace banyan
