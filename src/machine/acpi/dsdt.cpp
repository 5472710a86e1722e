#include "machine/acpi/dsdt.hpp"

#include "devices/chipset/acpi_pm.hpp"
#include "devices/chipset/debug_ports.hpp"
#include "devices/chipset/fw_cfg.hpp"
#include "machine/acpi/hotplug_aml.hpp"

namespace banyan::acpi {

namespace {

using aml::Bytes;
using aml::concat;
using aml::integer;

constexpr unsigned kPins = 4;

// Section 6.2.13 "_PRT": {address, pin, source, source index}, with the global interrupt number as
// the index.
Bytes routing_table(const BoardDescription& board, bool through_8259) {
    std::vector<Bytes> entries;
    for (unsigned device = 0; device < board.pci_devices; ++device) {
        for (unsigned pin = 0; pin < kPins; ++pin) {
            const unsigned wire = pci_wire(board.wiring, device, pin);
            const unsigned input = through_8259 ? pci_wire_irq(wire) : kPciWireGsi + wire;
            const Bytes entry[] = {integer((device << 16) | 0xFFFF), integer(pin), integer(0),
                                   integer(input)};
            entries.push_back(aml::package(entry));
        }
    }
    return aml::package(entries);
}

// A guest says by \_PIC (section 5.8.1) that it uses the IO-APIC; one that does not finds its
// devices on the 8259s.
Bytes routing(const BoardDescription& board) {
    const Bytes apic = aml::return_value(routing_table(board, false));
    if (!board.legacy_irq_chips) return aml::method("_PRT", 0, apic);
    return aml::method("_PRT", 0,
                       concat({aml::if_true(aml::path("\\PICM"), apic),
                               aml::return_value(routing_table(board, true))}));
}

Bytes interrupt_mode() {
    return concat({aml::name("\\PICM", integer(0)),
                   aml::method("\\_PIC", 1, aml::store(aml::argument(0), aml::path("\\PICM")))});
}

Bytes pci_resources(const BoardDescription& board) {
    constexpr uint16_t kConfigPorts = 0xCF8;
    Bytes windows;
    for (const MemoryWindow& window : board.pci_windows) {
        windows = concat({windows, aml::memory_window(window.start, window.length)});
    }
    if (const auto& wide = board.wide_pci_window)
        windows = concat({windows, aml::wide_memory_window(wide->start, wide->length)});
    // Ports below and above those of configuration space, for I/O BARs and the legacy devices.
    return aml::resource_template(
        {aml::bus_window(0, 1), aml::io_ports(kConfigPorts, 8), aml::port_window(0, kConfigPorts),
         aml::port_window(kConfigPorts + 8, 0x10000 - kConfigPorts - 8), windows});
}

Bytes pci_host(const BoardDescription& board) {
    return aml::device(
        "PCI0", concat({aml::name("_HID", aml::eisa_id("PNP0A08")),
                        aml::name("_CID", aml::eisa_id("PNP0A03")), aml::name("_UID", integer(0)),
                        aml::name("_SEG", integer(0)), aml::name("_BBN", integer(0)),
                        aml::name("_CRS", pci_resources(board)),
                        // Whatever control of PCI Express features the guest asks for
                        // (section 6.2.11), nobody else has it.
                        aml::method("_OSC", 4, aml::return_value(aml::argument(3))), routing(board),
                        hotplug_places(board.hotplug_devices)}));
}

// What no other device claims, so that the guest puts nothing there: above all the configuration
// space, which Linux uses only where it is reserved like this (PCI Firmware Specification 3.3,
// section 4.1.2).
Bytes motherboard(const BoardDescription& board) {
    constexpr uint8_t kPmPorts = 0x80;
    return aml::device(
        "MBRD",
        concat({aml::name("_HID", aml::eisa_id("PNP0C02")), aml::name("_UID", integer(0)),
                aml::name("_CRS", aml::resource_template({
                                      aml::memory_fixed(board.ecam.start, board.ecam.length),
                                      aml::io_ports(AcpiPm::kPm1EventPort, kPmPorts),
                                      aml::io_ports(AcpiPm::kSmiCommandPort, 2),
                                  }))}));
}

Bytes serial_port() {
    return aml::device(
        "COM1",
        concat(
            {aml::name("_HID", aml::eisa_id("PNP0501")), aml::name("_UID", integer(1)),
             aml::name("_CRS", aml::resource_template({aml::io_ports(0x3F8, 8), aml::irq(4)}))}));
}

Bytes real_time_clock() {
    return aml::device(
        "RTC",
        concat({aml::name("_HID", aml::eisa_id("PNP0B00")),
                aml::name("_CRS", aml::resource_template({aml::io_ports(0x70, 2), aml::irq(8)}))}));
}

Bytes keyboard() {
    return aml::device(
        "KBD",
        concat({aml::name("_HID", aml::eisa_id("PNP0303")),
                aml::name("_CRS", aml::resource_template({aml::io_ports(0x60, 1),
                                                          aml::io_ports(0x64, 1), aml::irq(1)}))}));
}

// Its ports are the keyboard's.
Bytes mouse() {
    return aml::device("MOU", concat({aml::name("_HID", aml::eisa_id("PNP0F13")),
                                      aml::name("_CRS", aml::resource_template({aml::irq(12)}))}));
}

Bytes hpet(const BoardDescription& board) {
    constexpr uint32_t kRegisters = 0x400;
    return aml::device(
        "HPET", concat({aml::name("_HID", aml::eisa_id("PNP0103")), aml::name("_UID", integer(0)),
                        aml::name("_CRS", aml::resource_template(
                                              {aml::memory_fixed(board.hpet_base, kRegisters)}))}));
}

// Identifiers of QEMU's interfaces, by which Linux has drivers for them.
Bytes panic_port() {
    return aml::device(
        "PEVT",
        concat({aml::name("_HID", aml::string("QEMU0001")),
                aml::name("_CRS", aml::resource_template({aml::io_ports(PvPanic::kPort, 1)}))}));
}

Bytes fw_cfg() {
    constexpr uint8_t kPorts = 12;
    return aml::device("FWCF", concat({aml::name("_HID", aml::string("QEMU0002")),
                                       aml::name("_CRS", aml::resource_template({aml::io_ports(
                                                             FwCfg::kSelectorPort, kPorts)}))}));
}

Bytes dma_controllers() {
    return aml::device(
        "DMAC", concat({aml::name("_HID", aml::eisa_id("PNP0200")),
                        aml::name("_CRS", aml::resource_template(
                                              {aml::io_ports(0x00, 16), aml::io_ports(0x80, 16),
                                               aml::io_ports(0xC0, 32), aml::dma(4)}))}));
}

Bytes floppy() {
    return aml::device(
        "FDC0", concat({aml::name("_HID", aml::eisa_id("PNP0700")),
                        aml::name("_CRS", aml::resource_template({aml::io_ports(0x3F2, 4),
                                                                  aml::io_ports(0x3F7, 1),
                                                                  aml::irq(6), aml::dma(2)}))}));
}

// "Virtual Machine Generation ID" (Microsoft, 2012): ADDR gives the two halves of the address. The
// notification comes by the event's method (section 5.6.4.1.1).
Bytes generation_counter(uint32_t address) {
    const Bytes halves[] = {integer(address), integer(0)};
    return aml::device("VGEN",
                       concat({aml::name("_HID", aml::string("BNYN0001")),
                               aml::name("_CID", aml::string("VM_Gen_Counter")),
                               aml::name("_DDN", aml::string("VM_Gen_Counter")),
                               aml::method("ADDR", 0, aml::return_value(aml::package(halves)))}));
}

Bytes generation_event() {
    static_assert(kGenerationEvent == 5);
    return aml::scope("\\_GPE", aml::method("_E05", 0, aml::notify("\\_SB.VGEN", 0x80)));
}

// Section 7.4.2 "\_Sx": what goes to the sleep type fields of PM1a and PM1b control.
Bytes power_off_state() {
    const Bytes values[] = {integer(AcpiPm::kSleepTypeS5), integer(0), integer(0), integer(0)};
    return aml::name("\\_S5", aml::package(values));
}

}  // namespace

Bytes dsdt_body(const BoardDescription& board) {
    Bytes devices = concat({pci_host(board), motherboard(board), real_time_clock(), panic_port()});
    if (board.serial) devices = concat({devices, serial_port()});
    if (board.keyboard) devices = concat({devices, keyboard(), mouse()});
    if (board.hpet) devices = concat({devices, hpet(board)});
    if (board.fw_cfg) devices = concat({devices, fw_cfg()});
    if (board.dma) devices = concat({devices, dma_controllers()});
    if (board.floppy) devices = concat({devices, floppy()});
    Bytes events;
    if (board.generation_id != 0) {
        devices = concat({devices, generation_counter(board.generation_id)});
        events = generation_event();
    }
    if (!board.hotplug_devices.empty()) {
        devices = concat({devices, hotplug_ports()});
        events = concat({events, hotplug_event()});
    }
    return concat({interrupt_mode(), aml::scope("\\_SB", devices), power_off_state(), events});
}

}  // namespace banyan::acpi
