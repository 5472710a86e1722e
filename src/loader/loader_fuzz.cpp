// Any bytes as a kernel: they are loaded or refused, without touching memory outside the guest's.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "loader/loader.hpp"

namespace {

using namespace banyan;

constexpr uint64_t kRam = 8ULL << 20;

struct Guest {
    Guest() {
        static std::byte* const host = static_cast<std::byte*>(std::aligned_alloc(kPageSize, kRam));
        (void)memory.add_region({0}, {host, kRam}, MemoryKind::ram);
    }
    GuestMemory memory;
};

const std::vector<E820Entry> kMap{{{0}, 0x9FC00, E820Type::ram},
                                  {{0x100000}, kRam - 0x100000, E820Type::ram}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Guest guest;
    const auto bytes = std::as_bytes(std::span(data, size));
    const loader::ImageBytes file(bytes);
    const std::vector<loader::ModuleFile> modules{{"module", "argument", &file}};
    loader::LoadRequest request;
    request.kernel_name = "fuzz";
    request.kernel = &file;
    request.command_line = "console=ttyS0";
    request.memory_map = kMap;
    for (const size_t count : {size_t{0}, size_t{1}}) {
        request.modules = std::span(modules).first(count);
        (void)loader::load_kernel(request, guest.memory);
    }
    return 0;
}
