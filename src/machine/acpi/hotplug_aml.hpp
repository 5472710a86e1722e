// What the DSDT says of PCI devices that come and go (PciHotplug has the registers).
#pragma once

#include <cstdint>
#include <span>

#include "machine/acpi/aml.hpp"

namespace banyan::acpi {

// For the inside of \_SB.PCI0: a device object with _EJ0 for each place, and the method PCNT, which
// tells the system what has come and what is to go. Nothing if there are no places.
aml::Bytes hotplug_places(std::span<const uint8_t> devices);
// For \_SB: claims the ports.
aml::Bytes hotplug_ports();
// \_GPE._E01.
aml::Bytes hotplug_event();

}  // namespace banyan::acpi
