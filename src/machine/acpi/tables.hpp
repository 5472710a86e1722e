// The ACPI tables that describe a board to its guest: RSDP, RSDT, XSDT, FADT, FACS, MADT, MCFG,
// HPET, DSDT (ACPI specification 6.4, chapter 5; PCI Firmware Specification 3.3 for MCFG; IA-PC
// HPET Specification 1.0a for HPET).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine/acpi/dsdt.hpp"
#include "vm/address.hpp"

namespace banyan::acpi {

// All tables as one piece to be put at `base`, which is also where the RSDP lies. Below 4 GiB, at a
// multiple of 64.
std::vector<std::byte> build_tables(const BoardDescription& board, Gpa base);

// The same for a firmware that chooses where to put them: as if they lay at address 0, without
// checksums, with what must be mended when they lie elsewhere. The lengths depend on what the board
// has, not on where it is.
struct RelocatableTables {
    // An address of a table: a little-endian number of `size` bytes.
    struct Pointer {
        uint32_t offset = 0;
        uint8_t size = 0;
    };
    // A byte that makes the sum of `length` bytes from `start` zero.
    struct Checksum {
        uint32_t offset = 0;
        uint32_t start = 0;
        uint32_t length = 0;
    };
    struct Piece {
        std::vector<std::byte> bytes;
        std::vector<Pointer> pointers;  // all into `tables`
        std::vector<Checksum> checksums;
    };
    Piece rsdp;
    Piece tables;  // to be put at a multiple of 64
};
RelocatableTables build_relocatable_tables(const BoardDescription& board);

}  // namespace banyan::acpi
