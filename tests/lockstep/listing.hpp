// Programs and their exceptions, for people.
#pragma once

#include <span>
#include <string>

#include "lockstep/program.hpp"

namespace banyan::lockstep {

// The program's code, an instruction a line. `around`: only what is near this linear address.
std::string list_code(const Program& program);
std::string list_code(const Program& program, uint64_t around);
// The last `count` entries of the exception log in a guest's memory.
std::string list_exceptions(std::span<const std::byte> ram, uint64_t count);

}  // namespace banyan::lockstep
