// The guest's memory map as PC firmware reports it (ACPI specification, section 15 "System Address
// Map Interfaces").
#pragma once

#include <cstdint>

#include "vm/address.hpp"

namespace banyan {

enum class E820Type : uint32_t { ram = 1, reserved = 2, acpi = 3, nvs = 4 };

struct E820Entry {
    Gpa start;
    uint64_t length = 0;
    E820Type type = E820Type::ram;

    friend bool operator==(const E820Entry&, const E820Entry&) = default;
};

}  // namespace banyan
