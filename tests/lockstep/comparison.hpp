// What two machines differ in, and what is allowed to differ.
#pragma once

#include <string>

#include "lockstep/machine.hpp"

namespace banyan::lockstep {

// Names and values of all differences of registers; empty: there are none.
std::string compare_states(const x86::RegisterState& a, const x86::RegisterState& b);
std::string compare_memory(std::span<const std::byte> a, std::span<const std::byte> b);
std::string compare_ports(const std::vector<PortAccess>& a, const std::vector<PortAccess>& b);

}  // namespace banyan::lockstep
