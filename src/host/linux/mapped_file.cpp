#include "host/linux/mapped_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/linux/new_file.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/write_all.hpp"

namespace banyan {

namespace {

constexpr std::string_view kPlaceRemedy = "choose a place where you may write and that has room";

Result<void> make_file(const std::string& path, std::span<const std::byte> initial,
                       const std::string& whose) {
    TRY_ASSIGN(file, NewFile::create(path, NewFile::IfThere::refuse));
    const UniqueFd fd(::open(file.temporary_path().c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return host_fail(errno, whose, kPlaceRemedy);
    if (!write_all(fd.get(), initial) || ::fsync(fd.get()) != 0)
        return host_fail(errno, whose, kPlaceRemedy);
    return file.keep();
}

}  // namespace

Result<std::unique_ptr<MappedFile>> MappedFile::open_or_create(const std::string& path,
                                                               std::span<const std::byte> initial,
                                                               std::string_view what) {
    const std::string whose = fmt::format("{} {}", what, quote_name(path));
    if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) TRY(make_file(path, initial, whose));
    UniqueFd fd(
        retry_interrupted([&] { return ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK); }));
    if (!fd.valid()) return host_fail(errno, whose, "make it writable for you");
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(ErrorCode::busy,
                    whose + ": another VM uses the file; give each VM a file of its own");
    }
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return host_fail(errno, whose, "check the file");
    if (!S_ISREG(info.st_mode) || static_cast<size_t>(info.st_size) != initial.size()) {
        return fail(ErrorCode::invalid_data,
                    fmt::format("{}: it does not hold what is kept there, {} bytes; give the name "
                                "of a file that is not there yet",
                                whose, initial.size()));
    }
    void* const start =
        ::mmap(nullptr, initial.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (start == MAP_FAILED) return host_fail(errno, whose, "check the file");
    return std::unique_ptr<MappedFile>(
        new MappedFile(std::move(fd), {static_cast<std::byte*>(start), initial.size()}));
}

MappedFile::~MappedFile() {
    ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace banyan
