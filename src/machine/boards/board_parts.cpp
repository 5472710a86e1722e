#include "machine/boards/board_parts.hpp"

#include "devices/chipset/cmos_rtc.hpp"
#include "devices/chipset/debug_ports.hpp"
#include "devices/chipset/fw_cfg.hpp"
#include "devices/chipset/pit8254.hpp"
#include "devices/serial/uart16550.hpp"
#include "devices/virtio/virtio_blk.hpp"
#include "devices/virtio/virtio_console.hpp"
#include "devices/virtio/virtio_rng.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

enum IsaIrq : unsigned {
    kTimerIrq = 0,
    kCom1Irq = 4,
    kRtcIrq = 8,
    kSciIrq = 9,
};

}  // namespace

Board::Parts::Parts(const BoardConfig& asked, const BoardServices& host, MemoryMap memory_map)
    : config(asked),
      services(host),
      map(std::move(memory_map)),
      pic_chip(host.timers),
      ioapic_chip(host.timers) {}

// Disks complete into memory and devices that are about to go.
Board::Parts::~Parts() {
    for (const auto& chip : chips) {
        SlotLock lock(chip->slot);
        for (VirtioPci* function : virtio) {
            if (function == chip->device.get()) function->drain();
        }
    }
}

// The order is that in which chips are reset and restored: the HPET after the timers whose wires
// end in it.
Result<void> Board::Parts::build() {
    make_sockets();
    make_ioapic();
    if (is_pc()) make_pic();
    make_pci_host();
    make_serial();
    make_timers();
    make_power_management();
    if (is_pc()) make_keyboard();
    make_paravirtual_ports();
    TRY(make_test_aids());
    return make_pci_functions();
}

MsiSink& Board::Parts::msi() {
    if (services.engine_apics != nullptr) return *services.engine_apics;
    return apics;
}

void Board::Parts::make_sockets() {
    for (unsigned index = 0; index < config.cpu_count; ++index) {
        const VcpuSocket::Wiring wiring{.index = index,
                                        .clock = services.clock,
                                        .timers = services.timers,
                                        .memory = services.memory,
                                        .ports = ports,
                                        .mmio = mmio};
        if (services.engine_apics != nullptr) {
            sockets.push_back(std::make_unique<EngineSocket>(wiring, *services.engine_apics));
        } else {
            sockets.push_back(std::make_unique<ChipSocket>(wiring, apics));
        }
    }
}

void Board::Parts::make_ioapic() {
    ioapic = &ioapic_chip.make<IoApic>(
        "ioapic", IoApic::Wiring{.msi = msi(), .id = 0, .routes = services.engine_apics});
    if (services.engine_apics != nullptr) {
        services.engine_apics->connect(*ioapic);
    } else {
        apics.add(*ioapic);
    }
    mmio.add(ioapic_chip.slot, *ioapic->mmio(), IoApic::kMmioSize).map(MemoryMap::kIoApic.start);
}

void Board::Parts::make_pic() {
    pic_acknowledge = std::make_unique<PicAcknowledge>();
    const IrqLine intr = sockets.front()->connect_ext_int(*pic_acknowledge);
    pic = &pic_chip.make<Pic8259Pair>("pic8259", Pic8259Pair::Wiring{.intr = intr});
    pic_acknowledge->connect(*pic);
    ports.add_device(pic_chip.slot);
}

IrqRouter::Output Board::Parts::pic_input(unsigned input) {
    auto& output = pic_inputs_[input];
    if (!output) output = router.add_output({*pic, input});
    return *output;
}

IrqRouter::Output Board::Parts::ioapic_input(unsigned input) {
    auto& output = ioapic_inputs_[input];
    if (!output) output = router.add_output({*ioapic, input});
    return *output;
}

// ISA interrupts reach both kinds of controllers, the timer's at input 2 of the IO-APIC, as the
// MADT says.
IrqLine Board::Parts::irq(unsigned isa_irq) {
    const auto at_ioapic = ioapic_input(isa_irq == kTimerIrq ? 2 : isa_irq);
    if (pic == nullptr) return router.add_source({at_ioapic});
    return router.add_source({pic_input(isa_irq), at_ioapic});
}

IrqLine Board::Parts::intx(unsigned device) {
    const unsigned wire = acpi::pci_wire(device, 0);
    const auto at_ioapic = ioapic_input(acpi::kPciWireGsi + wire);
    if (pic == nullptr) return router.add_source({at_ioapic});
    return router.add_source({pic_input(acpi::pci_wire_irq(wire)), at_ioapic});
}

Chip& Board::Parts::add_chip() {
    chips.push_back(std::make_unique<Chip>(services.timers));
    return *chips.back();
}

void Board::Parts::make_pci_host() {
    Chip& chip = add_chip();
    pci_host = &chip.make<PciHost>("pci-host", pci);
    ports.add_device(chip.slot);
    mmio.add(chip.slot, *pci_host->mmio(), PciHost::kEcamSize).map(MemoryMap::kEcam.start);
}

void Board::Parts::make_serial() {
    auto chip = std::make_unique<CharChip>(services.timers);
    CharBackend& out = config.serial.out != nullptr ? *config.serial.out : nothing;
    auto& uart = chip->make<Uart16550>(
        "com1",
        Uart16550::Wiring{
            .out = out, .source = config.serial.source, .irq = irq(kCom1Irq), .base = 0x3F8});
    chip->client.connect(uart);
    serial_client = &chip->client;
    ports.add_device(chip->slot);
    chips.push_back(std::move(chip));
}

// With an HPET, the wires of the older timers end in it, because it can replace them.
void Board::Parts::make_timers() {
    if (!is_pc()) {
        Chip& rtc = add_chip();
        rtc.make<CmosRtc>("cmos_rtc", CmosRtc::Wiring{services.clock, rtc.timers, irq(kRtcIrq)});
        ports.add_device(rtc.slot);
        return;
    }
    for (const unsigned input : {20U, 21U, 22U, 23U}) {
        hpet_inputs.connect(input, router.add_source({ioapic_input(input)}));
    }
    Chip& pit_chip = add_chip();
    Chip& rtc_chip = add_chip();
    Chip& hpet_chip = add_chip();
    hpet = &hpet_chip.make<Hpet>("hpet", Hpet::Wiring{.clock = services.clock,
                                                      .timers = hpet_chip.timers,
                                                      .ioapic = hpet_inputs,
                                                      .irq0 = irq(kTimerIrq),
                                                      .irq8 = irq(kRtcIrq),
                                                      .msi = msi()});
    pit_chip.make<Pit8254>("pit8254",
                           Pit8254::Wiring{services.clock, pit_chip.timers, hpet->pit_input()});
    rtc_chip.make<CmosRtc>("cmos_rtc",
                           CmosRtc::Wiring{services.clock, rtc_chip.timers, hpet->rtc_input()});
    ports.add_device(pit_chip.slot);
    ports.add_device(rtc_chip.slot);
    mmio.add(hpet_chip.slot, *hpet->mmio(), Hpet::kMmioSize).map(MemoryMap::kHpet.start);
}

void Board::Parts::make_power_management() {
    Chip& chip = add_chip();
    acpi_pm = &chip.make<AcpiPm>(
        "acpi_pm", AcpiPm::Wiring{services.clock, chip.timers, irq(kSciIrq), services.control});
    acpi_pm_slot = &chip.slot;
    ports.add_device(chip.slot);
}

void Board::Parts::make_paravirtual_ports() {
    Chip& panic = add_chip();
    panic.make<PvPanic>("pvpanic", PvPanic::Wiring{services.control});
    ports.add_device(panic.slot);
    if (!is_pc()) return;
    Chip& chip = add_chip();
    chip.make<FwCfg>("fw_cfg", FwCfg::Wiring{services.memory});
    ports.add_device(chip.slot);
}

Result<void> Board::Parts::make_test_aids() {
    if (config.debugcon != nullptr) {
        Chip& chip = add_chip();
        chip.make<DebugCon>("debug_con", DebugCon::Wiring{*config.debugcon});
        ports.add_device(chip.slot);
    }
    if (config.debug_exit_port) {
        constexpr unsigned kPorts = 4;
        if (*config.debug_exit_port + kPorts > 0x10000) {
            return fail(ErrorCode::invalid_argument,
                        "debug exit port: it has four ports, the last at most 0xffff; give one up "
                        "to 0xfffc");
        }
        Chip& chip = add_chip();
        chip.make<DebugExit>("debug_exit",
                             DebugExit::Wiring{services.control, *config.debug_exit_port});
        ports.add_device(chip.slot);
    }
    return {};
}

Result<void> Board::Parts::make_pci_functions() {
    for (const DiskConfig& disk : config.disks) {
        if (disk.bus != DiskBus::virtio || disk.medium != DiskMedium::disk)
            return fail(ErrorCode::invalid_argument,
                        "add a disk: this board has virtio disks only; use bus=virtio");
        TRY(add_disk(disk));
    }
    if (config.rng != nullptr) TRY(add_rng());
    if (config.virtio_console) TRY(add_console());
    if (config.vga) TRY(add_vga());
    return {};
}

Result<void> Board::Parts::add_virtio(Chip& chip, const char* kind,
                                      std::unique_ptr<VirtioDevice> device) {
    if (pci.full()) {
        return fail(ErrorCode::invalid_argument,
                    "add a device: the PCI bus has 31 places, and all are taken; use fewer");
    }
    const unsigned number = pci.next_device();
    auto& function =
        chip.make<VirtioPci>(std::string(kind) + "@" + std::to_string(number), std::move(device),
                             VirtioPciWiring{.mapper = pci,
                                             .msi = msi(),
                                             .clock = services.clock,
                                             .timers = chip.timers,
                                             .intx = intx(number)});
    virtio.push_back(&function);
    return pci.add(*pci_host, function, chip.slot);
}

Result<void> Board::Parts::add_disk(const DiskConfig& disk) {
    Chip& chip = add_chip();
    disks.push_back(std::make_unique<LockedBlockBackend>(*disk.backend, chip.slot));
    return add_virtio(chip, "virtio-blk",
                      std::make_unique<VirtioBlk>(VirtioBlkConfig{.serial = disk.serial},
                                                  VirtioBlkWiring{services.memory, *disks.back()}));
}

Result<void> Board::Parts::add_rng() {
    return add_virtio(add_chip(), "virtio-rng",
                      std::make_unique<VirtioRng>(VirtioRngWiring{services.memory, *config.rng}));
}

Result<void> Board::Parts::add_console() {
    auto chip = std::make_unique<CharChip>(services.timers);
    const CharPortConfig& port = *config.virtio_console;
    auto console = std::make_unique<VirtioConsole>(
        VirtioConsoleWiring{.memory = services.memory,
                            .out = port.out != nullptr ? *port.out : nothing,
                            .source = port.source});
    chip->client.connect(*console);
    console_client = &chip->client;
    Chip& placed = *chip;
    chips.push_back(std::move(chip));
    return add_virtio(placed, "virtio-console", std::move(console));
}

}  // namespace banyan
