// Definitions of domains that others wrote.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "app/definition/libvirt_domain.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    // SAFETY: bytes may be seen as char.
    const auto read = import_libvirt("f", {reinterpret_cast<const char*>(data), size});
    if (!read) return 0;
    const auto stored = from_stored(to_stored(read->definition));
    if (!stored) __builtin_trap();
    return 0;
}
