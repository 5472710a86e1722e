// PciFunction: configuration space, BARs and interrupts of one PCI function. Devices derive from
// it, declare their BARs and capabilities in their constructors, and put save_config() and
// restore_config() into their saved state.
//
// It has the 256 bytes of conventional configuration space. The extended part, which ECAM reaches,
// has no capabilities and reads zero (PCI Express Base 5.0, 7.6.1).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "devices/pci/msix.hpp"
#include "devices/pci/pci_bar.hpp"
#include "devices/pci/pci_regs.hpp"
#include "support/result.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

struct PciIdentity {
    uint16_t vendor = 0;
    uint16_t device = 0;
    uint16_t subsystem_vendor = 0;
    uint16_t subsystem = 0;
    uint32_t class_code =
        0;  // base class, subclass, programming interface: 0x060000 is a host bridge
    uint8_t revision = 0;
    uint8_t interrupt_pin = 0;  // 1 is INTA#, 0: none
};

struct PciWiring {
    PciBarMapper& mapper;
    IrqLine intx = {};  // level-triggered; used while MSI-X is off
};

class PciFunction : public Device {
public:
    PciFunction(const PciFunction&) = delete;
    PciFunction& operator=(const PciFunction&) = delete;

    // Configuration accesses of 1, 2 or 4 bytes within one aligned double word; `offset` is below
    // kEcamConfigSize.
    uint32_t config_read(uint16_t offset, unsigned size);
    void config_write(uint16_t offset, unsigned size, uint32_t value);

    // For whoever plays firmware, before the guest runs and after each reset of the machine.
    const std::array<PciBar, pci::kBarCount>& bars() const { return bars_; }
    uint64_t bar_address(unsigned bar) const;
    void set_bar_address(unsigned bar, uint64_t address);
    void enable_decoding();
    void set_interrupt_line(uint8_t line);

    // For PciHost.
    void set_multifunction();
    bool has_blocked_bars() const { return blocked_bars_; }
    void update_mappings();

protected:
    PciFunction(const PciIdentity& identity, const PciWiring& wiring);

    // For constructors.
    void declare_memory_bar(unsigned bar, PciBarKind kind, uint64_t size, MmioIo& handler);
    // A BAR of memory that vCPUs access without the device (a display's). `ram` outlives this.
    void declare_ram_bar(unsigned bar, PciBarKind kind, std::span<std::byte> ram);
    // The handler sees ports from 0 on.
    void declare_io_bar(unsigned bar, uint32_t size, PortIo& handler);
    // `body` follows the id and next-pointer bytes; bits of `writable` (of the same length, or
    // empty) the guest may change. Returns the capability's offset.
    uint16_t add_capability(uint8_t id, std::span<const uint8_t> body,
                            std::span<const uint8_t> writable = {});
    // A register of the function's own: its value after power-on, and the bits that a guest may
    // change. 1, 2 or 4 bytes.
    void declare_register(uint16_t offset, uint32_t value, unsigned size, uint32_t writable) {
        set_initial(offset, value, size, writable);
    }
    // Registers that lock themselves. Not undone by reset_config().
    void set_writable(uint16_t offset, uint8_t bits) { writable_[offset] = bits; }
    // Adds the capability and a memory BAR that holds nothing but `msix`.
    void add_msix(Msix& msix, unsigned bar);

    // The level that the function wants on its INTx wire, which stays silent while MSI-X is on.
    void set_intx(bool asserted);
    bool bus_master_enabled() const;

    // A guest is about to read these bytes (offset, size): the device may refresh them by
    // set_config_bytes().
    virtual void on_config_read(uint16_t, unsigned) {}
    // A guest has written these bytes, of which only the writable bits have changed.
    virtual void on_config_written(uint16_t, unsigned) {}
    std::span<const uint8_t> config() const { return config_; }
    template <class T>
    T config_value(uint16_t offset) const {
        T value{};
        std::memcpy(&value, config_.data() + offset, sizeof(T));
        return value;
    }
    void set_config_bytes(uint16_t offset, std::span<const uint8_t> bytes);

    void reset_config();
    void save_config(StateWriter& writer) const;
    Result<void> restore_config(StateReader& reader);

private:
    static constexpr uint64_t kNotMapped = ~uint64_t{0};

    void declare_memory(unsigned bar, const PciBar& what, uint32_t low_bits);
    void set_initial(uint16_t offset, uint32_t value, unsigned size, uint32_t writable);
    pci::Command command() const;
    bool decoding(PciBarKind kind) const;
    uint64_t wanted_address(unsigned bar) const;
    bool map(unsigned bar, uint64_t address);
    void config_changed();
    void update_intx();

    // configuration
    std::array<PciBar, pci::kBarCount> bars_{};
    std::array<uint8_t, pci::kConfigSize> power_on_{};
    std::array<uint8_t, pci::kConfigSize> writable_{};
    uint16_t next_capability_ = pci::kFirstCapability;
    uint16_t last_capability_link_ = static_cast<uint16_t>(pci::Reg8::capabilities);
    uint16_t msix_capability_ = 0;
    // wiring
    PciBarMapper& mapper_;
    IrqLine intx_;
    Msix* msix_ = nullptr;
    // bookkeeping
    std::array<uint64_t, pci::kBarCount> mapped_at_{};
    bool blocked_bars_ = false;
    bool intx_wanted_ = false;
    // guest-visible state
    std::array<uint8_t, pci::kConfigSize> config_{};
};

}  // namespace banyan
