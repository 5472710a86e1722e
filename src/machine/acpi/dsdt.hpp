// The DSDT: what a guest cannot find by itself (ACPI specification 6.4, section 5.2.11.1 and
// chapter 6).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "machine/acpi/aml.hpp"

namespace banyan::acpi {

struct MemoryWindow {
    uint32_t start = 0;
    uint32_t length = 0;
};

struct WideWindow {
    uint64_t start = 0;
    uint64_t length = 0;
};

// PCI interrupt wires. INTx of device d, pin p (0 is INTA#) is wire...
enum class PciWiring : uint8_t {
    spread,  // (d + p) mod 8
    ich9,    // of an ICH9, as firmware leaves it: 4 + (d + p) mod 4 up to device 24, then p
};
inline constexpr unsigned kPciWires = 8;
inline constexpr unsigned kPciWireGsi = 16;  // of wire 0
constexpr unsigned pci_wire(PciWiring wiring, unsigned device, unsigned pin) {
    if (wiring == PciWiring::spread) return (device + pin) % kPciWires;
    return device < 25 ? 4 + (device + pin) % 4 : pin;
}
// For guests that use the 8259s: two of their inputs, which no ISA chip has. Those that SeaBIOS
// programs, too.
constexpr unsigned pci_wire_irq(unsigned wire) {
    return wire % 4 < 2 ? 10 : 11;
}

// What a board has, as far as its guest must be told. Addresses that never differ come from the
// chips' own headers.
struct BoardDescription {
    unsigned cpu_count = 1;
    bool legacy_irq_chips = false;  // 8259 pair and 8254
    bool hpet = false;
    bool keyboard = false;  // i8042, with a mouse
    bool vga = false;
    bool serial = true;  // COM1
    bool fw_cfg = false;
    unsigned pci_devices = 1;  // device numbers 0..n-1 are in use
    PciWiring wiring = PciWiring::spread;
    std::vector<MemoryWindow> pci_windows;  // below 4 GiB
    std::optional<WideWindow> wide_pci_window;
    MemoryWindow ecam;
    uint32_t ioapic = 0;
    uint32_t local_apic = 0;
    uint32_t hpet_base = 0;
    bool dma = false;  // the 8237 pair
    bool floppy = false;
    std::vector<uint8_t> hotplug_devices;  // device numbers that devices come to and go from
    uint32_t generation_id = 0;  // where the VM generation identifier lies; 0: there is none
};

// The general-purpose event by which a guest learns that its generation identifier has changed.
inline constexpr unsigned kGenerationEvent = 5;

// The definition block without its table header.
aml::Bytes dsdt_body(const BoardDescription& board);

}  // namespace banyan::acpi
