// The guest's x87, SSE and AVX state as an XSAVE area.
#pragma once

#include <cstddef>
#include <span>

#include "arch/x86/register_state.hpp"

namespace banyan::interp {

class Cpu;

// The standard format (Intel SDM vol. 1 section 13.4): everything, XSTATE_BV all set.
void pack_xsave(const Cpu& cpu, std::span<std::byte, x86::kXsaveSize> area);
void unpack_xsave(Cpu& cpu, std::span<const std::byte, x86::kXsaveSize> area);

}  // namespace banyan::interp
