// The SMBIOS tables of a board (DMTF DSP0134, System Management BIOS Reference Specification 3.0).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace banyan::smbios {

struct MachineFacts {
    std::array<uint8_t, 16> uuid{};  // in the order in which it is written
    unsigned cpu_count = 1;
    uint64_t ram_size = 0;  // bytes
    uint64_t low_ram = 0;   // of these below 4 GiB
};

// The structures, one after the other; what an entry point points to.
struct Tables {
    std::vector<std::byte> bytes;
    uint16_t count = 0;
    uint16_t largest = 0;  // bytes
};
Tables build_tables(const MachineFacts& facts);

// The entry point of SMBIOS 2.1 (section 5.2.1), to be put at a multiple of 16 between F0000h and
// FFFFFh. `address`: of the structures.
std::vector<std::byte> build_entry_point(const Tables& tables, uint32_t address);

}  // namespace banyan::smbios
