// The data structures of NVMe's IDENTIFY (NVM Express 1.4, section 5.15.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "devices/storage/nvme_regs.hpp"

namespace banyan::nvme {

using IdentifyPage = std::array<std::byte, kPage>;

// What differs from disk to disk.
struct Disk {
    std::string serial;   // at most 20 characters
    uint64_t blocks = 0;  // of kBlock bytes
    bool read_only = false;
    bool discards = false;
    bool writes_zeroes = false;
};

enum class Cns : uint8_t {
    name_space = 0x00,
    controller = 0x01,
    active_namespaces = 0x02,
    descriptors = 0x03,
};

// For namespace 1, the only one.
IdentifyPage identify_controller(const Disk& disk);
IdentifyPage identify_namespace(const Disk& disk);
IdentifyPage identify_descriptors(const Disk& disk);
// The namespaces above `after`.
IdentifyPage identify_active(uint32_t after);

}  // namespace banyan::nvme
