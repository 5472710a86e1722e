// The registers of a vCPU as text, for reports.
#pragma once

#include <string>

#include "arch/x86/register_state.hpp"

namespace banyan {

// Several lines without a line feed at the end: general registers, RIP, RFLAGS, segments, tables,
// control registers.
std::string format_registers(const x86::RegisterState& state);

}  // namespace banyan
