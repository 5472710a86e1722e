// Definitions of VMs that others wrote.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "app/definition/toml_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    // SAFETY: bytes may be seen as char.
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto read = definition_from_toml("f", text, "/");
    if (!read) return 0;
    const auto again = definition_from_toml("f", to_toml(*read), "/");
    if (!again || to_toml(*again) != to_toml(*read)) __builtin_trap();
    const auto stored = from_stored(to_stored(*read));
    if (!stored || *stored != *read) __builtin_trap();
    return 0;
}
