// The ACPI tables that describe a board to its guest: RSDP, XSDT, FADT, FACS, MADT, MCFG, HPET,
// DSDT (ACPI specification 6.4, chapter 5; PCI Firmware Specification 3.3 for MCFG; IA-PC HPET
// Specification 1.0a for HPET).
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

}  // namespace banyan::acpi
