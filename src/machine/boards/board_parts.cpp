#include "machine/boards/board_parts.hpp"

#include <cstdio>

#include "devices/chipset/debug_ports.hpp"
#include "devices/chipset/pit8254.hpp"
#include "devices/serial/uart16550.hpp"
#include "devices/virtio/virtio_balloon.hpp"
#include "devices/virtio/virtio_console.hpp"
#include "devices/virtio/virtio_rng.hpp"
#include "devices/virtio/virtio_vsock.hpp"
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
      pci({mmio, ports, host.memory, host.doorbells}),
      pic_chip(host.timers),
      ioapic_chip(host.timers) {}

// Disks complete into memory and devices that are about to go.
Board::Parts::~Parts() {
    const auto drain = [](Chip& chip) {
        SlotLock lock(chip.slot);
        if (chip.device != nullptr) chip.device->drain();
    };
    for (const auto& chip : chips)
        drain(*chip);
    for (const auto& place : places)
        drain(place->chip);
}

// The order is that in which chips are reset and restored: the HPET after the timers whose wires
// end in it.
Result<void> Board::Parts::build() {
    make_sockets();
    make_ioapic();
    if (is_pc()) make_pic();
    TRY(make_pci_host());
    if (is_pc()) TRY(make_flash());
    make_serial();
    make_timers();
    if (is_pc()) make_keyboard();
    make_paravirtual_ports();
    TRY(make_floppy());
    TRY(make_test_aids());
    TRY(make_pci_functions());
    make_hotplug_places();
    return is_pc() ? configure_firmware(*this) : Result<void>();
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

IrqLine Board::Parts::intx(PciAddress address) {
    if (chipset != nullptr)
        return chipset->add_pirq_source(acpi::pci_wire(acpi::PciWiring::ich9, address.device, 0));
    const unsigned wire = acpi::pci_wire(acpi::PciWiring::spread, address.device, 0);
    return router.add_source({ioapic_input(acpi::kPciWireGsi + wire)});
}

Result<PciAddress> Board::Parts::free_pci_address() const {
    if (const auto device = pci.free_device()) return PciAddress{*device, 0};
    return fail(ErrorCode::invalid_argument,
                "add a device: the PCI bus has 32 places, and all are taken; use fewer");
}

Chip& Board::Parts::add_chip() {
    chips.push_back(std::make_unique<Chip>(services.timers));
    return *chips.back();
}

// The pc's guest says where memory BARs may lie; they stay away from RAM and from fixed chips.
std::vector<GpaRange> Board::Parts::bar_windows() const {
    const auto fixed = MemoryMap::pci_windows();
    if (!is_pc()) return {fixed.begin(), fixed.end()};
    constexpr Gpa kEnd{uint64_t{1} << 52};  // the most that page tables can name
    return {{map.low_ram_end(), MemoryMap::kIoApic.start - map.low_ram_end()},
            {map.high_ram_end(), kEnd - map.high_ram_end()}};
}

Result<void> Board::Parts::make_pci_host() {
    pci.set_windows(bar_windows());
    Chip& chip = add_chip();
    pci_host = &chip.make<PciHost>("pci-host");
    pci_host_slot = &chip.slot;
    ports.add_device(chip.slot);
    MmioWindow& ecam = mmio.add(chip.slot, *pci_host->mmio(), PciHost::kEcamSize);
    Chip& bridge = add_chip();
    if (is_pc()) return make_chipset(bridge, ecam);
    ecam.map(MemoryMap::kEcam.start);
    make_power_management();
    auto& function = bridge.make<PciHostBridge>("host-bridge", PciWiring{pci});
    return pci.add(*pci_host, {0, 0}, function, bridge.slot);
}

// The host bridge at 00.0, and the bridge to the legacy devices at 1F.0.
Result<void> Board::Parts::make_chipset(Chip& bridge, MmioWindow& ecam) {
    constexpr PciAddress kHostBridge{0, 0};
    constexpr PciAddress kLegacyBridge{0x1F, 0};
    PcChipset::Wiring wiring{router, services.memory, {}, {}};
    for (unsigned input = 0; input < PcChipset::kPicInputs; ++input)
        wiring.pic[input] = pic_input(input);
    for (unsigned pirq = 0; pirq < Ich9Lpc::kPirqs; ++pirq)
        wiring.ioapic[pirq] = ioapic_input(acpi::kPciWireGsi + pirq);
    chipset = std::make_unique<PcChipset>(wiring);
    make_power_management();
    chipset->connect(ecam, ports.add_window(*acpi_pm_slot, *acpi_pm, AcpiPm::kMovablePorts));
    TRY(chipset->shadow().create(services.pc_memory.shadow, services.pc_memory.rom));
    mmio.add(bridge.slot, chipset->shadow(), MemoryMap::kShadow.length)
        .map(MemoryMap::kShadow.start);

    mch = &bridge.make<Q35Mch>("mch", Q35Mch::Wiring{{pci}, *chipset});
    TRY(pci.add(*pci_host, kHostBridge, *mch, bridge.slot));
    Chip& legacy = add_chip();
    lpc = &legacy.make<Ich9Lpc>("lpc", Ich9Lpc::Wiring{{pci}, *chipset});
    return pci.add(*pci_host, kLegacyBridge, *lpc, legacy.slot);
}

Result<void> Board::Parts::make_flash() {
    const auto bytes = services.pc_memory.flash;
    if (bytes.empty()) return {};
    constexpr uint64_t kFourGib = uint64_t{1} << 32;
    const Gpa start{kFourGib - services.pc_memory.rom.size() - bytes.size()};
    TRY_ASSIGN(memory, FlashMemory::create(services.memory, start, bytes));
    flash_memory = std::move(memory);
    Chip& chip = add_chip();
    auto& flash = chip.make<CfiFlash>("flash", CfiFlash::Wiring{bytes, *flash_memory});
    mmio.add(chip.slot, flash, bytes.size()).map(start);
    return {};
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
        cmos = &rtc.make<CmosRtc>("cmos_rtc",
                                  CmosRtc::Wiring{services.clock, rtc.timers, irq(kRtcIrq)});
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
    cmos = &rtc_chip.make<CmosRtc>(
        "cmos_rtc", CmosRtc::Wiring{services.clock, rtc_chip.timers, hpet->rtc_input()});
    ports.add_device(pit_chip.slot);
    ports.add_device(rtc_chip.slot);
    mmio.add(hpet_chip.slot, *hpet->mmio(), Hpet::kMmioSize).map(MemoryMap::kHpet.start);
}

void Board::Parts::make_power_management() {
    Chip& chip = add_chip();
    acpi_pm = &chip.make<AcpiPm>(
        "acpi_pm", AcpiPm::Wiring{services.clock, chip.timers, irq(kSciIrq), services.control});
    acpi_pm_slot = &chip.slot;
    if (!is_pc()) return ports.add_device(chip.slot);
    for (const PortRange& range : AcpiPm::fixed_ports())
        ports.add(chip.slot, *acpi_pm, range);
}

void Board::Parts::make_paravirtual_ports() {
    Chip& panic = add_chip();
    panic.make<PvPanic>("pvpanic", PvPanic::Wiring{services.control});
    ports.add_device(panic.slot);
    if (!is_pc()) return;
    Chip& chip = add_chip();
    fw_cfg = &chip.make<FwCfg>("fw_cfg", FwCfg::Wiring{services.memory});
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
    TRY(add_disks());
    TRY(add_nets());
    if (config.rng != nullptr) TRY(add_rng());
    if (config.virtio_console) TRY(add_console());
    TRY(add_shares());
    TRY(make_watchdog());
    if (config.vga) TRY(add_vga());
    if (config.balloon != nullptr) TRY(add_balloon());
    if (config.vsock) TRY(add_vsock());
    return {};
}

Result<void> Board::Parts::add_virtio(Chip& chip, const char* kind,
                                      std::unique_ptr<VirtioDevice> device) {
    TRY_ASSIGN(address, free_pci_address());
    auto& function = make_virtio_function(chip, kind, std::move(device), address, intx(address));
    return pci.add(*pci_host, address, function, chip.slot);
}

PciFunction& Board::Parts::make_virtio_function(Chip& chip, const char* kind,
                                                std::unique_ptr<VirtioDevice> device,
                                                PciAddress address, IrqLine intx_wire) {
    return chip.make<VirtioPci>(std::string(kind) + "@" + std::to_string(address.device),
                                std::move(device),
                                VirtioPciWiring{.mapper = pci,
                                                .msi = msi(),
                                                .clock = services.clock,
                                                .timers = chip.timers,
                                                .intx = intx_wire});
}

Result<void> Board::Parts::add_rng() {
    return add_virtio(add_chip(), "virtio-rng",
                      std::make_unique<VirtioRng>(VirtioRngWiring{services.memory, *config.rng}));
}

Result<void> Board::Parts::add_balloon() {
    Chip& chip = add_chip();
    auto made = std::make_unique<VirtioBalloon>(
        config.ram_size, VirtioBalloonWiring{services.memory, *config.balloon});
    balloon = made.get();
    balloon_slot = &chip.slot;
    return add_virtio(chip, "virtio-balloon", std::move(made));
}

Result<void> Board::Parts::add_vsock() {
    Chip& chip = add_chip();
    auto vsock = std::make_unique<VirtioVsock>(
        config.vsock->cid, VirtioVsockWiring{services.memory, *config.vsock->backend});
    vsock_client = std::make_unique<LockedVsockClient>(chip.slot);
    vsock_client->connect(*vsock);
    return add_virtio(chip, "virtio-vsock", std::move(vsock));
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
