#include "machine/acpi/hotplug_aml.hpp"

#include <cstdio>
#include <string>

#include "devices/chipset/pci_hotplug.hpp"

namespace banyan::acpi {

namespace {

using aml::Bytes;
using aml::concat;
using aml::integer;

// Section 5.6.6 "Device Object Notifications".
constexpr uint8_t kDeviceCheck = 1;
constexpr uint8_t kEjectRequest = 3;

std::string name_of_place(unsigned device) {
    char text[5];
    std::snprintf(text, sizeof(text), "S%02X_", device);
    return text;
}

Bytes mask_of(unsigned device) {
    return integer(uint64_t{1} << device);
}

// Its number is that of the slot, too (_SUN), by which systems name it.
Bytes place(unsigned device) {
    return aml::device(
        name_of_place(device),
        concat({aml::name("_ADR", integer(uint64_t{device} << 16)),
                aml::name("_SUN", integer(device)),
                aml::method("_EJ0", 1, aml::store(mask_of(device), aml::path("PCEJ")))}));
}

Bytes tell_each(std::span<const uint8_t> devices, uint8_t what) {
    Bytes told;
    for (const uint8_t device : devices) {
        told = concat({told, aml::if_true(aml::bit_and(aml::local(0), mask_of(device)),
                                          aml::notify(name_of_place(device), what))});
    }
    return told;
}

// Each register is read once: reading the first one clears it.
Bytes tell_of_changes(std::span<const uint8_t> devices) {
    return aml::method(
        "PCNT", 0,
        concat({aml::store(aml::path("PCIU"), aml::local(0)), tell_each(devices, kDeviceCheck),
                aml::store(aml::path("PCID"), aml::local(0)), tell_each(devices, kEjectRequest)}));
}

}  // namespace

Bytes hotplug_places(std::span<const uint8_t> devices) {
    if (devices.empty()) return {};
    Bytes body =
        concat({aml::port_region("PCST", PciHotplug::kPorts.first,
                                 static_cast<uint8_t>(PciHotplug::kPorts.count)),
                aml::dword_fields("PCST", {"PCIU", "PCID", "PCEJ"}), tell_of_changes(devices)});
    for (const uint8_t device : devices)
        body = concat({body, place(device)});
    return body;
}

Bytes hotplug_ports() {
    return aml::device(
        "PHPR", concat({aml::name("_HID", aml::eisa_id("PNP0A06")),
                        aml::name("_UID", aml::string("PCI hot-plug")),
                        aml::name("_CRS", aml::resource_template({aml::io_ports(
                                              PciHotplug::kPorts.first,
                                              static_cast<uint8_t>(PciHotplug::kPorts.count))}))}));
}

Bytes hotplug_event() {
    static_assert(PciHotplug::kEvent == 1);
    return aml::scope("\\_GPE", aml::method("_E01", 0, aml::path("\\_SB.PCI0.PCNT")));
}

}  // namespace banyan::acpi
