// The disks and CD-ROM drives of a board, and the controllers that they are on.
#include <algorithm>
#include <array>
#include <cstdio>

#include "devices/scsi/scsi_cdrom.hpp"
#include "devices/scsi/scsi_disk.hpp"
#include "devices/storage/ahci.hpp"
#include "devices/storage/ata_disk.hpp"
#include "devices/storage/ata_packet.hpp"
#include "devices/storage/ide.hpp"
#include "devices/virtio/virtio_blk.hpp"
#include "devices/virtio/virtio_scsi.hpp"
#include "machine/boards/board_parts.hpp"

namespace banyan {

namespace {

constexpr unsigned kIdePrimaryIrq = 14;
constexpr unsigned kIdeSecondaryIrq = 15;
constexpr size_t kMaxScsiTargets = 256;
// Where an ICH9 has it.
constexpr PciAddress kAhciAddress{0x1F, 2};

bool is_cdrom(const DiskConfig& disk) {
    return disk.medium == DiskMedium::cdrom;
}

Result<void> check_bus(const DiskConfig& disk, bool is_pc) {
    const bool disks_only = disk.bus == DiskBus::virtio || disk.bus == DiskBus::nvme;
    if (disks_only && is_cdrom(disk)) {
        return fail(ErrorCode::invalid_argument,
                    "add a CD-ROM drive: there are none on the buses virtio and nvme; use scsi, or "
                    "on a pc ahci or ide");
    }
    if (is_pc || disks_only || disk.bus == DiskBus::scsi) return {};
    return fail(
        ErrorCode::invalid_argument,
        "add a disk: the machine micro has the buses virtio, nvme and scsi only; use one of "
        "them, or the machine pc");
}

std::unique_ptr<AtaDevice> make_ata(const DiskConfig& disk, AtaCable cable, BlockBackend& backend) {
    const AtaDeviceConfig config{.serial = disk.serial, .cable = cable};
    if (is_cdrom(disk)) return std::make_unique<AtaPacket>(config, backend);
    return std::make_unique<AtaDisk>(config, backend);
}

std::unique_ptr<ScsiUnit> make_scsi(const DiskConfig& disk, BlockBackend& backend) {
    const ScsiUnitConfig config{.serial = disk.serial};
    if (is_cdrom(disk)) return std::make_unique<ScsiCdrom>(config, backend);
    return std::make_unique<ScsiDisk>(config, backend);
}

// CD-ROM drives on the secondary channel, disks on the primary one, where systems look for them
// first; as long as there is room.
class IdePlaces {
public:
    unsigned take(bool cdrom) {
        constexpr std::array<unsigned, Ide::kDevices> kForDisks{0, 1, 3, 2};
        constexpr std::array<unsigned, Ide::kDevices> kForCdroms{2, 3, 1, 0};
        const auto& order = cdrom ? kForCdroms : kForDisks;
        const auto place =
            std::find_if(order.begin(), order.end(), [&](unsigned p) { return !taken_[p]; });
        taken_[*place] = true;
        return *place;
    }

private:
    std::array<bool, Ide::kDevices> taken_{};
};

}  // namespace

BlockBackend& Board::Parts::add_backend(const DiskConfig& disk, Chip& chip) {
    disks.push_back(std::make_unique<LockedBlockBackend>(*disk.backend, chip.slot));
    return *disks.back();
}

// Where firmware finds it: a path as Open Firmware writes it, with the numbers in it.
template <class... Numbers>
void Board::Parts::add_boot_entry(const DiskConfig& disk, const char* path, Numbers... numbers) {
    char text[64];
    std::snprintf(text, sizeof(text), path, numbers...);
    boot_entries.push_back({is_cdrom(disk) ? BootKind::cdrom : BootKind::disk, text});
}

// In the order of the configuration those on virtio and NVMe, and then a controller of each other
// bus.
Result<void> Board::Parts::add_disks() {
    std::vector<const DiskConfig*> on_ahci;
    std::vector<const DiskConfig*> on_ide;
    std::vector<const DiskConfig*> on_scsi;
    for (const DiskConfig& disk : config.disks) {
        TRY(check_bus(disk, is_pc()));
        switch (disk.bus) {
            case DiskBus::virtio: TRY(add_virtio_disk(disk)); break;
            case DiskBus::ahci: on_ahci.push_back(&disk); break;
            case DiskBus::ide: on_ide.push_back(&disk); break;
            case DiskBus::scsi: on_scsi.push_back(&disk); break;
            case DiskBus::nvme: TRY(add_nvme(disk)); break;
        }
    }
    if (!on_ahci.empty()) TRY(add_ahci(on_ahci));
    if (!on_ide.empty()) TRY(add_ide(on_ide));
    if (!on_scsi.empty()) TRY(add_scsi(on_scsi));
    return {};
}

Result<void> Board::Parts::add_virtio_disk(const DiskConfig& disk) {
    TRY_ASSIGN(address, free_pci_address());
    add_boot_entry(disk, "/pci@i0cf8/scsi@%x/disk@0,0", address.device);
    Chip& chip = add_chip();
    auto blk = make_virtio_blk(disk, add_backend(disk, chip));
    virtio_disks.push_back({disk.backend, blk.get(), &chip.slot});
    return add_virtio(chip, "virtio-blk", std::move(blk));
}

std::unique_ptr<VirtioBlk> Board::Parts::make_virtio_blk(const DiskConfig& disk,
                                                         BlockBackend& backend) const {
    const VirtioBlkConfig blk{.serial = disk.serial,
                              .queues = std::min(config.cpu_count, VirtioBlk::kMaxQueues)};
    return std::make_unique<VirtioBlk>(blk, VirtioBlkWiring{services.memory, backend});
}

Result<void> Board::Parts::resize_disk(const BlockBackend& disk,
                                       const std::function<Result<void>()>& resize) {
    for (const VirtioDisk& one : virtio_disks) {
        if (one.backend != &disk) continue;
        SlotLock lock(*one.slot);
        return one.device->resize(resize);
    }
    for (const auto& place : places) {
        if (place->disk_backend != &disk) continue;
        SlotLock lock(place->chip.slot);
        return place->blk->resize(resize);
    }
    return fail(ErrorCode::unsupported,
                "resize the disk: only one on the bus virtio can tell its guest; resize it while "
                "the VM does not run, by banyan image resize");
}

Result<void> Board::Parts::add_ahci(const std::vector<const DiskConfig*>& devices) {
    if (devices.size() > Ahci::kPorts) {
        return fail(ErrorCode::invalid_argument,
                    "add disks: the bus ahci has six places; use fewer on it");
    }
    Chip& chip = add_chip();
    auto& ahci = chip.make<Ahci>("ahci", AhciWiring{.memory = services.memory,
                                                    .mapper = pci,
                                                    .msi = msi(),
                                                    .clock = services.clock,
                                                    .timers = chip.timers,
                                                    .intx = intx(kAhciAddress)});
    unsigned port = 0;
    for (const DiskConfig* disk : devices) {
        add_boot_entry(*disk, "/pci@i0cf8/pci8086,2922@1f,2/drive@%x/disk@0", port);
        ahci.attach(port++, make_ata(*disk, AtaCable::serial, add_backend(*disk, chip)));
    }
    return pci.add(*pci_host, kAhciAddress, ahci, chip.slot);
}

Result<void> Board::Parts::add_ide(const std::vector<const DiskConfig*>& devices) {
    if (devices.size() > Ide::kDevices) {
        return fail(ErrorCode::invalid_argument,
                    "add disks: the bus ide has four places; use fewer on it");
    }
    TRY_ASSIGN(address, free_pci_address());
    Chip& chip = add_chip();
    auto& ide = chip.make<Ide>("ide", IdeWiring{.memory = services.memory,
                                                .mapper = pci,
                                                .primary = irq(kIdePrimaryIrq),
                                                .secondary = irq(kIdeSecondaryIrq)});
    IdePlaces free_places;
    for (const bool cdrom : {true, false}) {
        for (const DiskConfig* disk : devices) {
            if (is_cdrom(*disk) != cdrom) continue;
            const unsigned place = free_places.take(cdrom);
            add_boot_entry(*disk, "/pci@i0cf8/ide@%x/drive@%x/disk@%x", address.device, place / 2,
                           place % 2);
            ide.attach(place, make_ata(*disk, AtaCable::parallel, add_backend(*disk, chip)));
        }
    }
    ports.add_device(chip.slot);
    return pci.add(*pci_host, address, ide, chip.slot);
}

// Each at a target of its own, as LUN 0.
Result<void> Board::Parts::add_scsi(const std::vector<const DiskConfig*>& devices) {
    if (devices.size() > kMaxScsiTargets) {
        return fail(ErrorCode::invalid_argument,
                    "add disks: the bus scsi has 256 places; use fewer on it");
    }
    TRY_ASSIGN(address, free_pci_address());
    Chip& chip = add_chip();
    std::vector<VirtioScsiUnit> units;
    for (const DiskConfig* disk : devices) {
        add_boot_entry(*disk, "/pci@i0cf8/scsi@%x/channel@0/disk@%x,0", address.device,
                       static_cast<unsigned>(units.size()));
        units.push_back({.target = static_cast<uint8_t>(units.size()),
                         .lun = 0,
                         .unit = make_scsi(*disk, add_backend(*disk, chip))});
    }
    return add_virtio(chip, "virtio-scsi",
                      std::make_unique<VirtioScsi>(services.memory, std::move(units)));
}

}  // namespace banyan
