// Ide: the IDE function of a PIIX3 (82371SB): two channels at the legacy ports and interrupts, and
// a bus master at BAR 4.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "devices/pci/pci_function.hpp"
#include "devices/storage/ide_channel.hpp"
#include "devices/storage/ide_state.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

struct IdeWiring {
    GuestMemory& memory;
    PciBarMapper& mapper;
    IrqLine primary = {};    // ISA interrupt 14
    IrqLine secondary = {};  // ISA interrupt 15
};

class Ide final : public PciFunction, private PortIo {
public:
    static constexpr unsigned kChannels = 2;
    static constexpr unsigned kDevices = 4;
    static constexpr unsigned kBusMasterBar = 4;
    static constexpr uint32_t kBusMasterPorts = 16;

    explicit Ide(const IdeWiring& wiring);

    // While the board is built: primary master and slave, secondary master and slave are 0 to 3.
    void attach(unsigned place, std::unique_ptr<AtaDevice> device);

    std::string_view name() const override { return "ide"; }
    void reset() override;
    void drain() const override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;
    // The legacy ports.
    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;

private:
    // The ports of BAR 4.
    class BusMasterPorts final : public PortIo {
    public:
        explicit BusMasterPorts(Ide& ide) : ide_(ide) {}
        IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
        IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    private:
        Ide& ide_;
    };

    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;
    bool decodes(unsigned channel) const;
    void on_config_written(uint16_t offset, unsigned size) override;
    Result<void> restore_all(StateReader& reader);

    // sub-devices
    BusMasterPorts bus_master_{*this};
    std::array<std::unique_ptr<IdeChannel>, kChannels> channels_;
};

}  // namespace banyan
