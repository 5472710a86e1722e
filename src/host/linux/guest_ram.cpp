#include "host/linux/guest_ram.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include "host/linux/memory_limits.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr std::string_view kMemoryRemedy =
    "give a smaller --memory or raise the limits of this process";

// Nobody who is handed the memfd can change its size below a mapping.
Result<UniqueFd> create_sealed(uint64_t size, const std::string& name) {
    const std::string what = fmt::format("give the guest {} of memory", readable_size(size));
    UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 ||
        ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return host_fail(errno, what, kMemoryRemedy);
    }
    return fd;
}

}  // namespace

Result<std::unique_ptr<GuestRam>> GuestRam::create(uint64_t size, const std::string& name) {
    TRY(check_memory_available(size));
    TRY_ASSIGN(fd, create_sealed(size, name));
    void* start =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd.get(), 0);
    if (start == MAP_FAILED) {
        return host_fail(errno, fmt::format("map {} of guest memory", readable_size(size)),
                         kMemoryRemedy);
    }
    // Advice, which a host may not take: large pages; guest memory is no part of a core dump.
    ::madvise(start, size, MADV_HUGEPAGE);
    ::madvise(start, size, MADV_DONTDUMP);
    const std::span<std::byte> bytes(static_cast<std::byte*>(start), size);
    return std::unique_ptr<GuestRam>(new GuestRam(std::move(fd), bytes));
}

GuestRam::~GuestRam() {
    ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace banyan
