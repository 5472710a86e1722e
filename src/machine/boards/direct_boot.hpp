// What firmware does before it starts a kernel, as far as kernels look for it.
#pragma once

#include "machine/boards/board_parts.hpp"

namespace banyan {

// Gives the address of the RSDP.
Result<Gpa> prepare_direct_boot(Board::Parts& parts);

}  // namespace banyan
