// Registers of PciHotplug: QEMU's docs/specs/acpi_pci_hotplug, with one bus and so without the
// register that selects it. Each is a double word with a bit for each device number.
#pragma once

#include <cstdint>

namespace banyan::pci_hotplug {

enum class Reg32 : uint16_t {
    up = 0x0,         // r: has come, and was not told yet; reading clears it
    down = 0x4,       // r: is to go
    eject = 0x8,      // w: goes now
    removable = 0xC,  // r: what can be ejected
};

}  // namespace banyan::pci_hotplug
