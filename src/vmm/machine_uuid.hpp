// The UUID of a machine, which guests use as its identity: the same for the same name.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

// In the order in which it is written.
std::array<uint8_t, 16> machine_uuid(std::string_view name);

}  // namespace banyan
