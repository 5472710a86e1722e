#include "vmm/vm_config.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "devices/virtio/virtio_fs_regs.hpp"
#include "host/linux/memory_limits.hpp"
#include "machine/boards/board.hpp"
#include "machine/memory_map.hpp"

namespace banyan {

namespace {

constexpr uint64_t kMib = uint64_t{1} << 20;
constexpr size_t kLongestSerial = 20;  // virtio 1.2 section 5.2.6, VIRTIO_BLK_T_GET_ID
constexpr size_t kMostDisks = 16;
constexpr size_t kMostNets = 8;

tl::unexpected<Error> wrong(const std::string& text) {
    return fail(ErrorCode::invalid_argument, text);
}

Result<void> validate_memory(uint64_t memory) {
    if (memory < MemoryMap::kMinRam || memory > MemoryMap::kMaxRam) {
        return wrong(fmt::format("--memory {}: a machine has {} to {}; give a size in that range",
                                 readable_size(memory), readable_size(MemoryMap::kMinRam),
                                 readable_size(MemoryMap::kMaxRam)));
    }
    if (memory % kMib != 0) {
        return wrong(fmt::format("--memory {}: not a multiple of 1 MiB; give whole mebibytes",
                                 readable_size(memory)));
    }
    return {};
}

bool is_plain_text(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

Result<void> validate_bus(const DiskFile& disk, MachineKind machine) {
    const bool legacy = disk.bus == DiskBus::ahci || disk.bus == DiskBus::ide;
    if (machine == MachineKind::pc || !legacy) return {};
    return wrong(fmt::format("--{} bus={}: the machine micro has none; use --machine pc, or bus={}",
                             disk.medium == DiskMedium::cdrom ? "cdrom" : "disk",
                             disk.bus == DiskBus::ahci ? "ahci" : "ide",
                             disk.medium == DiskMedium::cdrom ? "scsi" : "virtio or scsi"));
}

Result<void> validate_serial(const DiskFile& disk) {
    if (disk.serial.size() <= kLongestSerial && is_plain_text(disk.serial)) return {};
    return wrong(fmt::format(
        "--disk serial: longer than {} characters or not plain text; give a shorter one",
        kLongestSerial));
}

Result<void> validate_disks(const std::vector<DiskFile>& disks, MachineKind machine) {
    if (disks.size() > kMostDisks) {
        return wrong(fmt::format("--disk: {} disks, a machine has room for {}; give fewer",
                                 disks.size(), kMostDisks));
    }
    for (const DiskFile& disk : disks) {
        TRY(validate_bus(disk, machine));
        TRY(validate_serial(disk));
    }
    return {};
}

// Each tag once, because the guest has no other name for a share.
Result<void> validate_shares(const std::vector<SharedDirectory>& shares) {
    constexpr size_t kMostShares = 8;
    if (shares.size() > kMostShares) {
        return wrong(fmt::format("--share: {} directories, a machine has room for {}; give fewer",
                                 shares.size(), kMostShares));
    }
    for (size_t i = 0; i < shares.size(); ++i) {
        const std::string& tag = shares[i].tag;
        if (tag.empty() || tag.size() > virtio::kFsTagLength || !is_plain_text(tag)) {
            return wrong(
                fmt::format("--share: the tag is empty, longer than {} characters or not plain "
                            "text; give another after the last colon: --share DIR:TAG",
                            virtio::kFsTagLength));
        }
        const auto same = [&](const SharedDirectory& other) { return other.tag == tag; };
        if (std::any_of(shares.begin(), shares.begin() + static_cast<ptrdiff_t>(i), same)) {
            return wrong(
                fmt::format("--share {}: two directories have this tag; give each its own", tag));
        }
    }
    return {};
}

Result<void> validate_floppies(const VmConfig& config) {
    constexpr size_t kMostFloppies = 2;
    if (config.floppies.size() > kMostFloppies)
        return wrong("--floppy: a machine has two drives, A and B; give at most two");
    if (!config.floppies.empty() && config.machine != MachineKind::pc)
        return wrong("--floppy: only the machine pc has floppy drives; add --machine pc");
    return {};
}

// Virtio 1.2, section 5.10.4: 0 to 2 have meanings of their own, and the upper 32 bits are zero.
Result<void> validate_vsock(const VsockChoice& vsock) {
    constexpr uint64_t kFirst = 3;
    constexpr uint64_t kLast = 0xFFFFFFFE;
    if (vsock.cid >= kFirst && vsock.cid <= kLast) return {};
    return wrong(fmt::format("--vsock {}: guests have the numbers {} to {}; give one of them",
                             vsock.cid, kFirst, kLast));
}

Result<void> validate_mac(const NetChoice& net) {
    if (!net.mac || ((*net.mac)[0] & 1) == 0) return {};
    return wrong("--net mac: an address of a group; give one whose first byte is even");
}

Result<void> validate_nets(const std::vector<NetChoice>& nets) {
    if (nets.size() > kMostNets) {
        return wrong(fmt::format("--net: {} networks, a machine has room for {}; give fewer",
                                 nets.size(), kMostNets));
    }
    for (const NetChoice& net : nets)
        TRY(validate_mac(net));
    return {};
}

}  // namespace

bool has_vga(const VmConfig& config) {
    return config.vga.value_or(config.machine == MachineKind::pc);
}

Result<void> validate(const VmConfig& config) {
    if (config.name.empty() || config.name.size() > 64 || !is_plain_text(config.name)) {
        return wrong(
            "--name: empty, longer than 64 characters or not plain text; give another name");
    }
    if (config.cpus < 1 || config.cpus > Board::kMaxCpus) {
        return wrong(fmt::format("--cpus {}: a machine has 1 to {}; give a number in that range",
                                 config.cpus, Board::kMaxCpus));
    }
    TRY(validate_memory(config.memory));
    if (config.kernel.empty() && config.machine != MachineKind::pc) {
        return wrong(
            "--machine micro: it has no firmware and starts kernels only; add --kernel FILE, or "
            "use "
            "--machine pc");
    }
    if (config.vsock) TRY(validate_vsock(*config.vsock));
    if (config.balloon_target > config.memory) {
        return wrong(fmt::format("--balloon {}: more than the {} of --memory; give less",
                                 readable_size(config.balloon_target),
                                 readable_size(config.memory)));
    }
    TRY(validate_floppies(config));
    TRY(validate_nets(config.nets));
    TRY(validate_shares(config.shares));
    return validate_disks(config.disks, config.machine);
}

Result<void> validate_added(const DiskFile& disk) {
    if (disk.bus != DiskBus::virtio || disk.medium != DiskMedium::disk) {
        return wrong(
            "--disk bus: a running VM gets disks on the bus virtio only; leave bus out, or give "
            "the "
            "disk when the VM is started");
    }
    return validate_serial(disk);
}

Result<void> validate_added(const NetChoice& net) {
    if (net.model != NetModel::virtio) {
        return wrong(
            "--net model: a running VM gets virtio cards only; leave model out, or give the card "
            "when the VM is started");
    }
    return validate_mac(net);
}

}  // namespace banyan
