#include "host/linux/guest_ram.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include "host/linux/memory_limits.hpp"
#include "host/posix/host_error.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

constexpr std::string_view kMemoryRemedy =
    "give a smaller --memory or raise the limits of this process";

// Null: the host has no room.
std::byte* reserve(uint64_t size) {
    constexpr uint64_t kLargePage = GuestRam::kLargePage;
    void* const start = ::mmap(nullptr, size + kLargePage, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return nullptr;
    auto* const first = static_cast<std::byte*>(start);
    const auto address = reinterpret_cast<uint64_t>(start);
    const uint64_t before = align_up(address, kLargePage) - address;
    if (before != 0) ::munmap(first, before);
    ::munmap(first + before + size, kLargePage - before);
    return first + before;
}

}  // namespace

Result<std::unique_ptr<GuestRam>> GuestRam::create(uint64_t size, Pages pages) {
    TRY(check_memory_available(size));
    std::byte* const start = reserve(size);
    if (start == nullptr) {
        return host_fail(errno, fmt::format("give the guest {} of memory", readable_size(size)),
                         kMemoryRemedy);
    }
    // Advice, which a host may not take: large pages; guest memory is no part of a core dump.
    ::madvise(start, size, pages == Pages::large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    ::madvise(start, size, MADV_DONTDUMP);
    return std::unique_ptr<GuestRam>(new GuestRam({start, size}));
}

bool GuestRam::discard(std::span<std::byte> pages) {
    const bool inside = pages.data() >= bytes_.data() &&
                        pages.data() + pages.size() <= bytes_.data() + bytes_.size();
    return inside && ::madvise(pages.data(), pages.size(), MADV_DONTNEED) == 0;
}

GuestRam::~GuestRam() {
    ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace banyan
