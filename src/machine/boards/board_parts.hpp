// Board::Parts: the chips of a board and the wires between them.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "devices/chipset/acpi_pm.hpp"
#include "devices/chipset/apic_bus.hpp"
#include "devices/chipset/cmos_rtc.hpp"
#include "devices/chipset/dma8237.hpp"
#include "devices/chipset/fw_cfg.hpp"
#include "devices/chipset/hpet.hpp"
#include "devices/chipset/ioapic.hpp"
#include "devices/chipset/pci_hotplug.hpp"
#include "devices/chipset/pic8259.hpp"
#include "devices/storage/floppy_controller.hpp"
#include "devices/virtio/virtio_pci.hpp"
#include "machine/acpi/dsdt.hpp"
#include "machine/boards/board.hpp"
#include "machine/boards/chip.hpp"
#include "machine/boards/firmware_config.hpp"
#include "machine/boards/flash_memory.hpp"
#include "machine/boards/hotplug_place.hpp"
#include "machine/boards/pc_chipset.hpp"
#include "machine/boards/pci_slots.hpp"
#include "machine/boards/vcpu_socket.hpp"
#include "machine/display_adapters.hpp"
#include "machine/io_bus.hpp"
#include "machine/irq_router.hpp"
#include "machine/locked_fs_backend.hpp"
#include "machine/locked_net.hpp"
#include "machine/locked_vsock.hpp"

namespace banyan {

class Vga;
class VirtioBalloon;
class VirtioBlk;
class VirtioNet;

// The acknowledge cycle, as the boot processor's local APIC runs it for ExtINT. Connected before
// vCPUs run: the 8259s are made with the wire to that APIC.
class PicAcknowledge final : public ExtIntSource {
public:
    void connect(Pic8259Pair& pic) { pic_ = &pic; }
    bool pending() const override { return pic_->pending(); }
    std::optional<uint8_t> acknowledge() override { return pic_->acknowledge(); }

private:
    Pic8259Pair* pic_ = nullptr;
};

// The HPET's own inputs of the IO-APIC, which it shares with PCI.
class HpetInputs final : public IrqSink {
public:
    void connect(unsigned input, IrqLine line) { lines_[input] = line; }
    void set_irq(unsigned input, bool asserted) override {
        if (input < lines_.size()) lines_[input].set(asserted);
    }

private:
    std::array<IrqLine, IoApic::kInputs> lines_;
};

// Takes what is written where nothing is connected.
class NoBackend final : public CharBackend {
public:
    size_t write(std::span<const uint8_t> bytes) override { return bytes.size(); }
};

struct Board::Parts final : private PciHotplugClient {
    Parts(const BoardConfig& asked, const BoardServices& host, MemoryMap memory_map);
    ~Parts();
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;

    Result<void> build();

    // boards/hotplug_parts.cpp
    Result<unsigned> plug_disk(const DiskConfig& disk);
    Result<unsigned> plug_net(const NetConfig& net);
    void request_unplug(unsigned device);
    bool remove_ejected(unsigned device);
    void eject_requested();
    // boards/storage_parts.cpp
    Result<void> resize_disk(const BlockBackend& disk, const std::function<Result<void>()>& resize);

    // As the guest has set up the machine by now.
    acpi::BoardDescription describe() const;
    acpi::PciWiring pci_wiring() const;
    void set_up_chipset();

    // Every chip, in the order in which they are reset, saved and restored: those that drive wires,
    // the wires, those that wires lead to. Calls `function(key, device)` with the device's lock
    // held; stops at the first error.
    template <class Function>
    Result<void> for_each_chip(Function function);

    bool is_pc() const { return config.kind == BoardKind::pc; }
    // Where messages go: to the engine's local APICs or to those of the board.
    MsiSink& msi();

    // configuration
    const BoardConfig config;
    const BoardServices services;
    const MemoryMap map;

    // buses and wires
    NoBackend nothing;
    PortBus ports;
    MmioBus mmio;
    ApicBus apics;  // of the board's own local APICs
    IrqRouter router;
    HpetInputs hpet_inputs;
    PciSlots pci;
    std::unique_ptr<PcChipset> chipset;  // of a pc
    std::unique_ptr<FlashMemory> flash_memory;
    std::unique_ptr<FirmwareTables> firmware_tables;
    std::vector<std::unique_ptr<LockedBlockBackend>> disks;
    std::vector<std::unique_ptr<LockedNetBackend>> nets;
    std::vector<std::unique_ptr<LockedFsBackend>> shares;

    // chips: `chips` has those that drive wires, in the order of reset
    std::vector<std::unique_ptr<VcpuSocket>> sockets;
    Chip pic_chip;
    Chip ioapic_chip;
    std::vector<std::unique_ptr<Chip>> chips;
    std::vector<std::unique_ptr<HotplugPlace>> places;

    // the same, by what they are; null where the board has none
    Pic8259Pair* pic = nullptr;
    std::unique_ptr<PicAcknowledge> pic_acknowledge;
    IoApic* ioapic = nullptr;
    Hpet* hpet = nullptr;
    PciHost* pci_host = nullptr;
    DeviceSlot* pci_host_slot = nullptr;
    PciHotplug* hotplug = nullptr;
    DeviceSlot* hotplug_slot = nullptr;
    Q35Mch* mch = nullptr;
    Ich9Lpc* lpc = nullptr;
    FwCfg* fw_cfg = nullptr;
    CmosRtc* cmos = nullptr;
    AcpiPm* acpi_pm = nullptr;
    DeviceSlot* acpi_pm_slot = nullptr;
    CharClient* serial_client = nullptr;
    CharClient* console_client = nullptr;
    std::unique_ptr<LockedVsockClient> vsock_client;
    Dma8237Pair* dma = nullptr;
    FloppyController* floppy = nullptr;
    VirtioBalloon* balloon = nullptr;
    DeviceSlot* balloon_slot = nullptr;
    Vga* vga = nullptr;
    DeviceSlot* vga_slot = nullptr;
    std::unique_ptr<LockedDisplay> display;
    std::unique_ptr<LockedInput> human_input;
    std::vector<const NetStatistics*> net_statistics;  // of the network cards
    struct VirtioDisk {
        const BlockBackend* backend;  // as the board was given it
        VirtioBlk* device;
        DeviceSlot* slot;
    };
    std::vector<VirtioDisk> virtio_disks;  // but those of places
    bool networks_held = false;            // of the thread that plugs

    // What firmware may boot from, each with its path in the form of Open Firmware, as QEMU's
    // bootorder file has it.
    struct BootEntry {
        BootKind kind;
        std::string path;
    };
    std::vector<BootEntry> boot_entries;

private:
    void describe_windows(acpi::BoardDescription& board) const;
    acpi::WideWindow wide_window() const;
    void make_sockets();
    void make_ioapic();
    void make_pic();
    IrqLine irq(unsigned isa_irq);     // a new source on an ISA interrupt
    IrqLine intx(PciAddress address);  // INTA# of the function
    Result<PciAddress> free_pci_address() const;
    IrqRouter::Output pic_input(unsigned input);
    IrqRouter::Output ioapic_input(unsigned input);

    Chip& add_chip();
    Result<void> make_pci_host();
    Result<void> make_chipset(Chip& host_chip, MmioWindow& ecam);
    Result<void> make_flash();
    std::vector<GpaRange> bar_windows() const;
    void make_serial();
    void make_timers();
    void make_power_management();
    void make_keyboard();
    void make_paravirtual_ports();
    Result<void> make_test_aids();
    Result<void> make_pci_functions();
    Result<void> add_virtio(Chip& chip, const char* kind, std::unique_ptr<VirtioDevice> device);
    PciFunction& make_virtio_function(Chip& chip, const char* kind,
                                      std::unique_ptr<VirtioDevice> device, PciAddress address,
                                      IrqLine intx_wire);
    // In storage_parts.cpp. All disks of a bus but virtio share one controller.
    Result<void> add_disks();
    Result<void> add_virtio_disk(const DiskConfig& disk);
    std::unique_ptr<VirtioBlk> make_virtio_blk(const DiskConfig& disk, BlockBackend& backend) const;
    Result<void> add_ahci(const std::vector<const DiskConfig*>& devices);
    Result<void> add_ide(const std::vector<const DiskConfig*>& devices);
    Result<void> add_scsi(const std::vector<const DiskConfig*>& devices);
    template <class... Numbers>
    void add_boot_entry(const DiskConfig& disk, const char* path, Numbers... numbers);
    BlockBackend& add_backend(const DiskConfig& disk, Chip& chip);
    Result<void> add_nets();  // in network_parts.cpp
    Result<void> add_net(const NetConfig& net);
    Result<void> add_virtio_net(const NetConfig& net, Chip& chip);
    std::unique_ptr<VirtioNet> make_virtio_net(const NetConfig& net, NetBackend& backend) const;
    Result<void> add_e1000e(const NetConfig& net, Chip& chip, PciAddress address);
    Result<void> add_rng();
    Result<void> add_console();
    Result<void> add_balloon();
    Result<void> add_vsock();
    // boards/share_parts.cpp
    Result<void> add_shares();
    // boards/legacy_parts.cpp
    Result<void> make_floppy();
    Result<void> add_nvme(const DiskConfig& disk);
    Result<void> make_watchdog();
    Result<void> add_vga();
    // boards/hotplug_parts.cpp
    void make_hotplug_places();
    HotplugPlace* find_place(unsigned device);
    Result<HotplugPlace*> free_place();
    Result<unsigned> plug(HotplugPlace& place, const char* kind,
                          std::unique_ptr<VirtioDevice> device);
    void raise_hotplug_event();
    void on_ejected(unsigned device) override;
    void disconnect(HotplugPlace& place);
    void empty(HotplugPlace& place);

    std::array<std::optional<IrqRouter::Output>, 16> pic_inputs_;
    std::array<std::optional<IrqRouter::Output>, IoApic::kInputs> ioapic_inputs_;
};

template <class Function>
Result<void> Board::Parts::for_each_chip(Function function) {
    const auto visit = [&](Chip& chip) -> Result<void> {
        SlotLock lock(chip.slot);
        return function(std::string_view(chip.key), *chip.device);
    };
    for (const auto& chip : chips)
        TRY(visit(*chip));
    for (const auto& place : places) {
        if (place->state == HotplugPlace::State::in_use) TRY(visit(place->chip));
    }
    TRY(function(router.name(), static_cast<Device&>(router)));
    if (pic != nullptr) TRY(visit(pic_chip));
    TRY(visit(ioapic_chip));
    for (const auto& socket : sockets)
        TRY(function(socket->apic_chip().name(), socket->apic_chip()));
    return {};
}

}  // namespace banyan
