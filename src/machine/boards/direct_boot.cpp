#include "machine/boards/direct_boot.hpp"

#include "devices/display/vga.hpp"
#include "machine/acpi/tables.hpp"
#include "machine/boards/generation_id.hpp"
#include "machine/mp/mp_tables.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan {

namespace {

uint32_t low32(uint64_t value) {
    return static_cast<uint32_t>(value);
}

tl::unexpected<Error> no_ram() {
    return fail(ErrorCode::invalid_argument,
                "prepare the guest's memory: its first MiB is not there; add the RAM of the memory "
                "map first");
}

// The BIOS data area, where kernels look for the extended one and for the end of low memory.
Result<void> write_bios_data(GuestMemory& memory) {
    constexpr Gpa kEbdaSegment{0x40E};
    constexpr Gpa kLowMemoryKib{0x413};
    const le16 segment{static_cast<uint16_t>(MemoryMap::kEbda.start.value >> 4)};
    const le16 kib{static_cast<uint16_t>(MemoryMap::kEbda.start.value >> 10)};
    if (!memory.write_object(kEbdaSegment, segment) || !memory.write_object(kLowMemoryKib, kib))
        return no_ram();
    return {};
}

Result<Gpa> write_acpi_tables(Board::Parts& parts) {
    const Gpa base = MemoryMap::kAcpiTables.start;
    acpi::BoardDescription board = parts.describe();
    if (parts.config.generation_id) board.generation_id = low32(kGenerationIdAddress.value);
    const auto tables = acpi::build_tables(board, base);
    if (tables.size() > MemoryMap::kAcpiTables.length) {
        return fail(ErrorCode::invalid_argument,
                    "write the ACPI tables: they are too large; use fewer vCPUs");
    }
    if (!parts.services.memory.load(base, tables)) return no_ram();
    const auto& id = parts.config.generation_id;
    if (id && !parts.services.memory.load(kGenerationIdAddress, std::as_bytes(std::span(*id))))
        return no_ram();
    return base;
}

Result<void> set_up_pci(Board::Parts& parts) {
    const GpaRange window = MemoryMap::pci_windows().front();
    constexpr PciWindow kPorts{0xC000, 0x10000};
    TRY(parts.pci_host->assign_bars({.memory32 = {window.start.value, window.end().value},
                                     .memory64 = {},
                                     .ports = parts.is_pc() ? kPorts : PciWindow{}}));
    parts.pci.for_each_function([&](PciFunction& function, PciAddress address) {
        const unsigned wire = acpi::pci_wire(parts.pci_wiring(), address.device, 0);
        const unsigned line = parts.is_pc() ? acpi::pci_wire_irq(wire) : acpi::kPciWireGsi + wire;
        function.set_interrupt_line(static_cast<uint8_t>(line));
    });
    return {};
}

// PCI shares wires, so its inputs of the 8259s are level-triggered (ELCR: Intel 82371AB data sheet,
// section 4.2.4).
void set_up_interrupts(Board::Parts& parts) {
    for (unsigned wire = 0; wire < acpi::kPciWires; ++wire)
        parts.lpc->set_pirq(wire, acpi::pci_wire_irq(wire));
    constexpr uint16_t kElcr2 = 0x4D1;
    constexpr uint32_t kPciInputs =
        bit<uint32_t>(acpi::pci_wire_irq(0) - 8) | bit<uint32_t>(acpi::pci_wire_irq(2) - 8);
    parts.ports.write(kElcr2, 1, kPciInputs);
    for (const auto& socket : parts.sockets)
        socket->set_virtual_wire_mode();
}

Result<void> write_mp_tables(Board::Parts& parts) {
    const acpi::BoardDescription board = parts.describe();
    mp::MachineDescription machine{.cpu_count = board.cpu_count,
                                   .local_apic = board.local_apic,
                                   .io_apic = board.ioapic,
                                   .pci = {}};
    for (unsigned device = 1; device < board.pci_devices; ++device) {
        const unsigned input = acpi::kPciWireGsi + acpi::pci_wire(board.wiring, device, 0);
        machine.pci.push_back(
            {.device = static_cast<uint8_t>(device), .input = static_cast<uint8_t>(input)});
    }
    const auto tables = mp::build_tables(machine, MemoryMap::kBiosArea.start);
    BANYAN_ASSERT(tables.size() <= kGenerationIdAddress - MemoryMap::kBiosArea.start);
    if (!parts.services.memory.load(MemoryMap::kBiosArea.start, tables)) return no_ram();
    return {};
}

void set_up_screen(Board::Parts& parts) {
    SlotLock lock(*parts.vga_slot);
    parts.vga->set_text_mode();
}

}  // namespace

acpi::BoardDescription Board::Parts::describe() const {
    acpi::BoardDescription board;
    board.cpu_count = config.cpu_count;
    board.legacy_irq_chips = is_pc();
    board.hpet = hpet != nullptr;
    board.keyboard = is_pc();
    board.vga = vga != nullptr;
    board.fw_cfg = is_pc();
    board.dma = dma != nullptr;
    board.floppy = floppy != nullptr;
    board.pci_devices = pci.device_count();
    for (const auto& place : places)
        board.hotplug_devices.push_back(place->address.device);
    board.wiring = pci_wiring();
    describe_windows(board);
    board.ioapic = low32(MemoryMap::kIoApic.start.value);
    board.local_apic = low32(MemoryMap::kLocalApic.start.value);
    board.hpet_base = low32(MemoryMap::kHpet.start.value);
    return board;
}

acpi::PciWiring Board::Parts::pci_wiring() const {
    return is_pc() ? acpi::PciWiring::ich9 : acpi::PciWiring::spread;
}

// Below 4 GiB around configuration space, wherever firmware has put it; above, behind the RAM.
void Board::Parts::describe_windows(acpi::BoardDescription& board) const {
    const Gpa ecam = chipset != nullptr ? chipset->ecam().value_or(MemoryMap::kEcam.start)
                                        : MemoryMap::kEcam.start;
    const uint64_t ecam_length = is_pc() ? 256ULL << 20 : MemoryMap::kEcam.length;
    board.ecam = {low32(ecam.value), low32(ecam_length)};
    const Gpa first = is_pc() ? Gpa{MemoryMap::kMaxLowRamOfPc} : MemoryMap::pci_windows()[0].start;
    board.pci_windows = {
        {low32(first.value), low32(ecam - first)},
        {low32(ecam.value + ecam_length),
         low32(MemoryMap::kIoApic.start.value - ecam.value - ecam_length)},
    };
    if (is_pc()) board.wide_pci_window = wide_window();
}

// Where OVMF places 64-bit BARs depends on the CPU; what the guest is told must hold them.
acpi::WideWindow Board::Parts::wide_window() const {
    constexpr uint64_t kGib = 1ULL << 30;
    uint64_t start = align_up(map.high_ram_end().value, kGib);
    uint64_t end = uint64_t{1} << 40;
    pci.for_each_function([&](const PciFunction& function, PciAddress) {
        for (unsigned bar = 0; bar < pci::kBarCount; ++bar) {
            const PciBar& what = function.bars()[bar];
            if (what.kind != PciBarKind::memory64) continue;
            const uint64_t last = function.bar_address(bar) + what.size;
            if (last > end && last < uint64_t{1} << 52) end = align_up(last, kGib);
        }
    });
    return {start, end - start};
}

// What firmware sets up in the chipset.
void Board::Parts::set_up_chipset() {
    mch->set_ecam(MemoryMap::kEcam.start);
    mch->open_shadow();
    lpc->enable_power_management(AcpiPm::kMovablePorts.first);
}

Result<Gpa> prepare_direct_boot(Board::Parts& parts) {
    if (parts.is_pc()) parts.set_up_chipset();
    TRY(write_bios_data(parts.services.memory));
    TRY(set_up_pci(parts));
    if (parts.is_pc()) {
        set_up_interrupts(parts);
        TRY(write_mp_tables(parts));
    }
    if (parts.dma != nullptr) parts.dma->set_up_cascade();
    if (parts.vga != nullptr) set_up_screen(parts);
    return write_acpi_tables(parts);
}

}  // namespace banyan
