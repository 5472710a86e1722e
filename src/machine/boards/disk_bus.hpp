// What a disk looks like to the guest.
#pragma once

#include <cstdint>

namespace banyan {

enum class DiskBus : uint8_t { virtio, nvme, ahci, ide, scsi };

enum class DiskMedium : uint8_t { disk, cdrom };

}  // namespace banyan
