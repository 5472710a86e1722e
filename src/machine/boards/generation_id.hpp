// Where the VM generation identifier of a machine lies that was booted without firmware ("Virtual
// Machine Generation ID", Microsoft, 2012): 8-byte aligned, in memory that the memory map reserves,
// in a page of its own.
#pragma once

#include "machine/boards/board.hpp"
#include "machine/memory_map.hpp"

namespace banyan {

inline constexpr Gpa kGenerationIdAddress{MemoryMap::kBiosArea.end().value - kPageSize};

}  // namespace banyan
