#include "backends/fs/host_file.hpp"

#include <climits>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

namespace banyan {

InodeIdentity identity_of(const struct statx& status) {
    InodeIdentity identity;
    identity.device = uint64_t{status.stx_dev_major} << 32 | status.stx_dev_minor;
    identity.inode = status.stx_ino;
    if ((status.stx_mask & STATX_BTIME) != 0) {
        identity.born_seconds = status.stx_btime.tv_sec;
        identity.born_nanoseconds = status.stx_btime.tv_nsec;
    }
    return identity;
}

FsResult<struct statx> status_of(int fd) {
    struct statx status {};
    if (::statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME,
                &status) != 0) {
        return fs_fail(errno);
    }
    return status;
}

bool is_file_name(const char* name) {
    const size_t length = ::strnlen(name, NAME_MAX + 1);
    if (length == 0 || length > NAME_MAX) return false;
    if (std::memchr(name, '/', length) != nullptr) return false;
    return std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0;
}

// The name is one component already; the kernel's own bounds stand behind that.
FsResult<PathFd> open_child(int directory, const char* name) {
    open_how how{};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    const long fd = retry_interrupted(
        [&] { return ::syscall(SYS_openat2, directory, name, &how, sizeof(how)); });
    if (fd < 0) return fs_fail(errno);
    return std::make_shared<const UniqueFd>(static_cast<int>(fd));
}

FsResult<Reopener> Reopener::create() {
    UniqueFd links(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!links.valid()) return fs_fail(errno);
    return Reopener(std::move(links));
}

Reopener::Name Reopener::name_of(int path_fd) {
    Name name{};
    std::snprintf(name.data(), name.size(), "%d", path_fd);
    return name;
}

// The link of an O_PATH descriptor leads to the very file that it names, so that nothing can come
// between the look at its kind and the opening.
FsResult<UniqueFd> Reopener::open(int path_fd, int flags) const {
    const auto status = status_of(path_fd);
    if (!status) return fs_fail(status.error());
    const bool wants_directory = (flags & O_DIRECTORY) != 0;
    if (S_ISDIR(status->stx_mode) != wants_directory)
        return fs_fail(wants_directory ? ENOTDIR : EISDIR);
    if (!wants_directory && !S_ISREG(status->stx_mode)) return fs_fail(ENXIO);
    const auto name = name_of(path_fd);
    const int fd = retry_interrupted([&] {
        return ::openat(links_.get(), name.data(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    });
    if (fd < 0) return fs_fail(errno);
    return UniqueFd(fd);
}

FsResult<PathFd> Reopener::path_of(int fd) const {
    const auto name = name_of(fd);
    const int path_fd = ::openat(links_.get(), name.data(), O_PATH | O_CLOEXEC);
    if (path_fd < 0) return fs_fail(errno);
    return std::make_shared<const UniqueFd>(path_fd);
}

}  // namespace banyan
