#include "backends/block/open_image.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr std::string_view kNeedsReadOnly = "add ,readonly=on to --disk, or make the file writable";

Result<UniqueFd> open_file(const std::string& path, const std::string& what, bool read_only) {
    // O_NONBLOCK: opening a FIFO or a tape must not wait; they are refused later.
    const int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
    UniqueFd fd(retry_interrupted([&] { return ::open(path.c_str(), flags); }));
    if (fd.valid()) return fd;
    const int error_number = errno;
    switch (error_number) {
        case EISDIR:
            return fail(ErrorCode::invalid_argument,
                        what + ": it is a directory; give a disk image");
        case EACCES:
        case EPERM:
        case EROFS:
            if (!read_only && ::access(path.c_str(), R_OK) == 0)
                return host_fail(error_number, what, kNeedsReadOnly);
            return host_fail(error_number, what, "make it accessible to you");
        case ETXTBSY: return host_fail(error_number, what, kNeedsReadOnly);
        default: return host_fail(error_number, what, "check its name");
    }
}

Result<void> check_kind(const struct stat& info, const std::string& what, bool read_only) {
    if (S_ISDIR(info.st_mode)) {
        return fail(ErrorCode::invalid_argument, what + ": it is a directory; give a disk image");
    }
    if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)) {
        return fail(ErrorCode::invalid_argument,
                    what + ": it is neither a file nor a block device; give a disk image");
    }
    // Root may write whatever the mode says; whoever took all write permissions away meant it.
    if (!read_only && (info.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0) {
        return fail(ErrorCode::permission,
                    fmt::format("{}: the file is read-only; {}", what, kNeedsReadOnly));
    }
    return {};
}

// Locks of the open file description (fcntl(2), F_OFD_SETLK) belong to this file object, not to the
// process: two VMs in one process exclude each other too. They vanish with the last descriptor.
Result<void> lock(int fd, const std::string& what, bool read_only) {
    struct flock whole {};
    whole.l_type = static_cast<short>(read_only ? F_RDLCK : F_WRLCK);
    whole.l_whence = SEEK_SET;
    if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) return {};
    if (errno == EAGAIN || errno == EACCES) {
        return fail(
            ErrorCode::busy,
            what + ": another VM or program uses it; end that, or use it read-only in both");
    }
    // File systems without locks (EINVAL, ENOLCK, EOPNOTSUPP) still make usable disks.
    return {};
}

Result<uint64_t> find_size(int fd, const struct stat& info, const std::string& what) {
    auto size = static_cast<uint64_t>(info.st_size);
    if (S_ISBLK(info.st_mode) && ::ioctl(fd, BLKGETSIZE64, &size) != 0) {
        return host_fail(errno, what, "check the device");
    }
    return size;
}

}  // namespace

Result<OpenImage> open_image(const std::string& what, const std::string& path, bool read_only) {
    TRY_ASSIGN(fd, open_file(path, what, read_only));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return host_fail(errno, what, "check the file");
    TRY(check_kind(info, what, read_only));
    TRY_ASSIGN(size, find_size(fd.get(), info, what));
    TRY(lock(fd.get(), what, read_only));
    return OpenImage{std::move(fd), size, {info.st_dev, info.st_ino}};
}

}  // namespace banyan
