// PciHost: a host bridge with one bus. Configuration space is reached by mechanism #1 (ports CF8
// and CFC, PCI Local Bus Specification 3.0, 3.2.2.3.2) and by ECAM (PCI Express Base 5.0, 7.2.2),
// whose window the board places.
//
// The bridge itself is function 00:00.0, with the identity that QEMU gives its generic host bridge:
// nothing that knows it expects chipset registers behind it, as would be so for an Intel MCH.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "devices/pci/pci_function.hpp"
#include "support/mutex.hpp"
#include "support/result.hpp"
#include "vm/device.hpp"

namespace banyan {

// On bus 0.
struct PciAddress {
    uint8_t device = 0;    // 0..31
    uint8_t function = 0;  // 0..7

    friend bool operator==(PciAddress, PciAddress) = default;
};

// Address space for BARs; `end` is the first address after it.
struct PciWindow {
    uint64_t start = 0;
    uint64_t end = 0;
};

struct PciWindows {
    PciWindow memory32;  // below 4 GiB
    PciWindow memory64;  // may be empty
    PciWindow ports;     // may be empty
};

// A host bridge that has nothing but its identity, for boards that need no registers of one.
class PciHostBridge final : public PciFunction {
public:
    explicit PciHostBridge(const PciWiring& wiring);

    std::string_view name() const override { return "pci-host-bridge"; }
    void reset() override { reset_config(); }
    void save(StateWriter& writer) const override { save_config(writer); }
    Result<void> restore(StateReader& reader) override { return restore_config(reader); }
};

class PciHost final : public Device, private PortIo, private MmioIo {
public:
    static constexpr uint64_t kEcamSize = 1U << 20;  // one bus

    // `lock` is the function's device lock: the host holds it around configuration accesses, inside
    // its own. Fails when the address is taken or does not exist.
    // While the guest runs: with this device's own lock held.
    Result<void> add_function(PciAddress address, PciFunction& function, LockRef lock);
    // Nobody reaches the function by configuration space when this returns. Its BARs are gone. With
    // this device's own lock held, and not the function's.
    void remove_function(PciAddress address);

    // Does what firmware does: gives each BAR a place in the windows and enables decoding. After
    // each reset of the functions, before the guest runs. Takes the functions' locks.
    Result<void> assign_bars(const PciWindows& windows);

    std::string_view name() const override { return "pci-host"; }
    // The functions are devices of their own.
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;
    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    MmioIo* mmio() override { return this; }

private:
    struct Slot {
        PciFunction* function = nullptr;
        std::optional<LockRef> lock;
    };

    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;
    bool data_port_offset(uint16_t port, unsigned size, uint16_t& offset) const;
    uint32_t config_read(unsigned devfn, uint16_t offset, unsigned size);
    void config_write(unsigned devfn, uint16_t offset, unsigned size, uint32_t value);
    void retry_blocked_bars();

    // bookkeeping
    std::array<Slot, 256> slots_{};  // by device and function number
    // guest-visible state
    uint32_t config_address_ = 0;
};

}  // namespace banyan
