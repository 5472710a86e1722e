// PciHotplug: how a guest learns that PCI devices come and are to go, and lets go of them: the
// registers behind the methods _E01 and _EJ0 of the DSDT (QEMU's docs/specs/acpi_pci_hotplug, at
// the place that its Q35 has them). Systems need no driver for it, but ACPI.
//
// A device comes: the board puts it on the bus, calls device_added(), and raises the event. It is
// to go: request_removal() and the event; the guest's driver lets go of it, and _EJ0 ejects it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "vm/device.hpp"

namespace banyan {

class PciHotplugClient {
public:
    // The guest has ejected the device with this number: it is not on the bus any more when this
    // returns. With the lock of PciHotplug held.
    virtual void on_ejected(unsigned device) = 0;

protected:
    ~PciHotplugClient() = default;
};

class PciHotplug final : public Device, public PortIo {
public:
    // For the DSDT.
    static constexpr PortRange kPorts{0xCC0, 0x10};
    static constexpr unsigned kEvent = 1;  // the general-purpose event

    struct Wiring {
        PciHotplugClient& client;
        uint32_t places = 0;  // a bit for each device number that devices come to and go from
    };
    explicit PciHotplug(const Wiring& wiring) : client_(wiring.client), places_(wiring.places) {}

    // Device numbers of the places. With the device's lock held, as all calls.
    void device_added(unsigned device);
    void request_removal(unsigned device);
    bool removal_requested(unsigned device) const;
    // Before the machine is reset: what was to go goes now, since the guest that had it is no more.
    void eject_requested() { eject(down_); }

    std::string_view name() const override { return "pci_hotplug"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override { return {&kPorts, 1}; }
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

private:
    void eject(uint32_t devices);

    // wiring
    PciHotplugClient& client_;
    // configuration
    const uint32_t places_;
    // guest-visible state
    uint32_t up_ = 0;
    uint32_t down_ = 0;
};

}  // namespace banyan
