// What old and strict systems expect of a PC: DMA and floppy; and disks and timers of makes that
// all systems have drivers for.
#include <cstdio>

#include "devices/storage/nvme_controller.hpp"
#include "devices/watchdog/i6300esb.hpp"
#include "machine/boards/board_parts.hpp"

namespace banyan {

namespace {

constexpr unsigned kFloppyIrq = 6;
constexpr unsigned kFloppyChannel = 2;

// Bytes of the CMOS memory by which firmware and systems know the drives: their types, and bits 7
// and 6 (number less one) and 0 (there are drives) of the equipment byte.
constexpr uint8_t kDriveTypes = 0x10;
constexpr uint8_t kEquipment = 0x14;

Result<void> check_floppies(const BoardConfig& config) {
    if (config.floppies.size() > FloppyController::kMaxDrives) {
        return fail(ErrorCode::invalid_argument,
                    "--floppy: a machine has two drives, A and B; give at most two");
    }
    for (BlockBackend* disk : config.floppies) {
        if (!FloppyGeometry::of_size(disk->size_bytes())) {
            return fail(ErrorCode::invalid_argument,
                        "--floppy: the size of the image is that of no floppy disk; give one of "
                        "360K, 720K, 1200K, 1440K or 2880K");
        }
    }
    return {};
}

}  // namespace

// Every pc has the DMA controllers; the floppy controller comes with its drives.
Result<void> Board::Parts::make_floppy() {
    if (!is_pc()) {
        if (config.floppies.empty()) return {};
        return fail(ErrorCode::invalid_argument,
                    "--floppy: the board 'micro' has no floppy drives; use --machine pc");
    }
    TRY(check_floppies(config));
    Chip& dma_chip = add_chip();
    dma = &dma_chip.make<Dma8237Pair>("dma8237", Dma8237Pair::Wiring{services.memory});
    ports.add_device(dma_chip.slot);
    if (config.floppies.empty()) return {};

    Chip& chip = add_chip();
    floppy = &chip.make<FloppyController>("floppy",
                                          FloppyController::Wiring{.clock = services.clock,
                                                                   .timers = chip.timers,
                                                                   .irq6 = irq(kFloppyIrq),
                                                                   .dma = {*dma, kFloppyChannel}});
    for (unsigned drive = 0; drive < config.floppies.size(); ++drive) {
        disks.push_back(std::make_unique<LockedBlockBackend>(*config.floppies[drive], chip.slot));
        floppy->insert(drive, *disks.back());
    }
    cmos->set_byte(kDriveTypes, floppy->cmos_drive_types());
    cmos->set_byte(kEquipment, static_cast<uint8_t>((config.floppies.size() - 1) << 6 | 1));
    ports.add_device(chip.slot);
    boot_entries.push_back({BootKind::floppy, "/pci@i0cf8/isa@1f/fdc@03f0/floppy@0"});
    return {};
}

Result<void> Board::Parts::add_nvme(const DiskConfig& disk) {
    TRY_ASSIGN(address, free_pci_address());
    Chip& chip = add_chip();
    disks.push_back(std::make_unique<LockedBlockBackend>(*disk.backend, chip.slot));
    const std::string key = "nvme@" + std::to_string(address.device);
    auto& controller = chip.make<NvmeController>(key, disk.serial.empty() ? key : disk.serial,
                                                 NvmeWiring{.memory = services.memory,
                                                            .backend = *disks.back(),
                                                            .mapper = pci,
                                                            .msi = msi(),
                                                            .clock = services.clock,
                                                            .timers = chip.timers,
                                                            .intx = intx(address)});
    char path[64];
    std::snprintf(path, sizeof(path), "/pci@i0cf8/pci1b36,10@%x/namespace@1,0", address.device);
    boot_entries.push_back({BootKind::disk, path});
    return pci.add(*pci_host, address, controller, chip.slot);
}

Result<void> Board::Parts::make_watchdog() {
    if (!config.watchdog) return {};
    TRY_ASSIGN(address, free_pci_address());
    Chip& chip = add_chip();
    auto& timer = chip.make<I6300Esb>("i6300esb", *config.watchdog,
                                      I6300Esb::Wiring{.mapper = pci,
                                                       .clock = services.clock,
                                                       .timers = chip.timers,
                                                       .machine = services.control});
    return pci.add(*pci_host, address, timer, chip.slot);
}

}  // namespace banyan
