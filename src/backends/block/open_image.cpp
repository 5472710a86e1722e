#include "backends/block/open_image.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "backends/block/image_locks.hpp"
#include "host/posix/host_error.hpp"
#include "support/log.hpp"

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

Result<uint64_t> find_size(int fd, const struct stat& info, const std::string& what) {
    auto size = static_cast<uint64_t>(info.st_size);
    if (S_ISBLK(info.st_mode) && ::ioctl(fd, BLKGETSIZE64, &size) != 0) {
        return host_fail(errno, what, "check the device");
    }
    return size;
}

// What the host's direct I/O asks of offsets, lengths and memory is known by trying: a read of a
// sector, 512 bytes off a page in the file and in memory.
bool takes_sectors(int fd) {
    alignas(4096) std::array<std::byte, 1024> memory;
    return retry_interrupted([&] { return ::pread(fd, &memory[512], 512, 512); }) >= 0;
}

// A second view of the file, past the page cache. None: the host has no direct I/O for it, or only
// in blocks that are larger than the guest's.
UniqueFd open_direct(const std::string& path, const FileIdentity& identity, bool read_only) {
    const int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_DIRECT;
    UniqueFd fd(retry_interrupted([&] { return ::open(path.c_str(), flags); }));
    struct stat info {};
    const bool same = fd.valid() && ::fstat(fd.get(), &info) == 0 &&
                      identity == FileIdentity{info.st_dev, info.st_ino};
    return same && takes_sectors(fd.get()) ? std::move(fd) : UniqueFd();
}

}  // namespace

Result<OpenImage> open_image(const std::string& what, const std::string& path, bool read_only,
                             DiskCache cache) {
    TRY_ASSIGN(fd, open_file(path, what, read_only));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return host_fail(errno, what, "check the file");
    TRY(check_kind(info, what, read_only));
    TRY_ASSIGN(size, find_size(fd.get(), info, what));
    TRY(lock_image(fd.get(), what, read_only ? ImageUse::read : ImageUse::write));
    OpenImage image{std::move(fd), {}, size, {info.st_dev, info.st_ino}, cache};
    if (cache != DiskCache::none) return image;
    image.direct_fd = open_direct(path, image.identity, read_only);
    if (!image.direct_fd.valid()) {
        LOG_WARNING("disk",
                    "%s: the host has no direct I/O of 512 bytes for it; the page cache is used",
                    what.c_str());
    }
    return image;
}

}  // namespace banyan
