// Attributes of a share's files.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backends/fs/fuse_server.hpp"

namespace banyan {

namespace {

timespec time_of(const fuse_setattr_in& in, uint32_t given, uint32_t now, uint64_t seconds,
                 uint32_t nanoseconds) {
    if ((in.valid & now) != 0) return {0, UTIME_NOW};
    if ((in.valid & given) == 0) return {0, UTIME_OMIT};
    return {static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
}

int set_times(int path_fd, const fuse_setattr_in& in) {
    constexpr uint32_t kTimes = FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW;
    if ((in.valid & kTimes) == 0) return 0;
    constexpr uint32_t kSecond = 1'000'000'000;
    if (in.atimensec >= kSecond || in.mtimensec >= kSecond) return EINVAL;
    const timespec times[2] = {
        time_of(in, FATTR_ATIME, FATTR_ATIME_NOW, in.atime, in.atimensec),
        time_of(in, FATTR_MTIME, FATTR_MTIME_NOW, in.mtime, in.mtimensec),
    };
    return ::utimensat(path_fd, "", times, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

}  // namespace

// As long as the guest may go without asking again.
uint64_t FuseServer::name_seconds() const {
    constexpr uint64_t kDay = 24 * 60 * 60;
    return config_.cache == ShareCache::writeback ? kDay : 1;
}

// The bytes of a file that the host has changed, cut at the size of before, would be worse than old
// ones: so of a file the guest asks at each open and read. Of directories it would at each step of
// a path.
uint64_t FuseServer::attribute_seconds(uint32_t mode) const {
    const bool asks = config_.cache == ShareCache::automatic && S_ISREG(mode);
    return asks ? 0 : name_seconds();
}

fuse_attr FuseServer::attributes(const struct statx& status) const {
    fuse_attr attr{};
    attr.ino = status.stx_ino;
    attr.size = status.stx_size;
    attr.blocks = status.stx_blocks;
    attr.atime = static_cast<uint64_t>(status.stx_atime.tv_sec);
    attr.mtime = static_cast<uint64_t>(status.stx_mtime.tv_sec);
    attr.ctime = static_cast<uint64_t>(status.stx_ctime.tv_sec);
    attr.atimensec = status.stx_atime.tv_nsec;
    attr.mtimensec = status.stx_mtime.tv_nsec;
    attr.ctimensec = status.stx_ctime.tv_nsec;
    attr.mode = status.stx_mode;
    attr.nlink = status.stx_nlink;
    attr.uid = ids_.guest_user(status.stx_uid);
    attr.gid = ids_.guest_group(status.stx_gid);
    // As Linux' new_encode_dev() has it.
    attr.rdev = static_cast<uint32_t>((status.stx_rdev_minor & 0xff) |
                                      ((status.stx_rdev_major & 0xfff) << 8) |
                                      ((status.stx_rdev_minor & ~0xffU) << 12));
    attr.blksize = status.stx_blksize;
    return attr;
}

int FuseServer::answer_attributes(FuseCall& call, int fd) {
    const auto status = status_of(fd);
    if (!status) return status.error();
    fuse_attr_out out{};
    out.attr_valid = attribute_seconds(status->stx_mode);
    out.attr = attributes(*status);
    call.answer(out);
    return 0;
}

int FuseServer::getattr(FuseCall& call) {
    fuse_getattr_in in;
    if (!call.arguments.take(in)) return EINVAL;
    if ((in.getattr_flags & FUSE_GETATTR_FH) != 0) {
        if (const auto file = handles_.find(in.fh, false))
            return answer_attributes(call, (*file)->fd.get());
    }
    const auto fd = inodes_.open(call.header.nodeid);
    return fd ? answer_attributes(call, (*fd)->get()) : fd.error();
}

// The owner before the permissions, because a change of the owner takes set-ID bits away.
int FuseServer::setattr(FuseCall& call) {
    fuse_setattr_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto fd = inodes_.open(call.header.nodeid);
    if (!fd) return fd.error();
    const int path_fd = (*fd)->get();
    if (const int error = set_owner(path_fd, in)) return error;
    if (const int error = set_size(path_fd, in)) return error;
    if ((in.valid & FATTR_MODE) != 0) {
        if (const int error = set_mode(path_fd, in.mode)) return error;
    }
    if (const int error = set_times(path_fd, in)) return error;
    return answer_attributes(call, path_fd);
}

// fchmod() takes no O_PATH descriptor; its link does as well. A symbolic link has no permissions.
int FuseServer::set_mode(int path_fd, uint32_t mode) {
    const auto status = status_of(path_fd);
    if (!status) return status.error();
    if (S_ISLNK(status->stx_mode)) return EOPNOTSUPP;
    const auto name = Reopener::name_of(path_fd);
    const uint32_t allowed = allowed_mode(mode, S_ISDIR(status->stx_mode));
    return ::fchmodat(reopener_.directory(), name.data(), allowed, 0) == 0 ? 0 : errno;
}

int FuseServer::set_owner(int path_fd, const fuse_setattr_in& in) {
    const bool user = (in.valid & FATTR_UID) != 0;
    const bool group = (in.valid & FATTR_GID) != 0;
    if (!user && !group) return 0;
    constexpr auto kSame = static_cast<uint32_t>(-1);
    const auto new_user = user ? ids_.host_user(in.uid) : kSame;
    const auto new_group = group ? ids_.host_group(in.gid) : kSame;
    if (!new_user || !new_group) return EPERM;
    return ::fchownat(path_fd, "", *new_user, *new_group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0
               ? 0
               : errno;
}

int FuseServer::set_size(int path_fd, const fuse_setattr_in& in) {
    if ((in.valid & FATTR_SIZE) == 0) return 0;
    if (in.size > INT64_MAX) return EINVAL;
    const auto size = static_cast<off_t>(in.size);
    int fd = -1;
    Handle open_file;
    UniqueFd opened;
    const auto handle = (in.valid & FATTR_FH) != 0 ? handles_.find(in.fh, false) : fs_fail(EBADF);
    if (handle) {
        open_file = *handle;
        fd = open_file->fd.get();
    } else {
        auto file = reopener_.open(path_fd, O_WRONLY);
        if (!file) return file.error();
        opened = std::move(*file);
        fd = opened.get();
    }
    if (::ftruncate(fd, size) != 0) return errno;
    if ((in.valid & FATTR_KILL_SUIDGID) != 0) drop_set_id_bits(fd);
    return 0;
}

int FuseServer::access(FuseCall& call) {
    fuse_access_in in;
    if (!call.arguments.take(in)) return EINVAL;
    if ((in.mask & ~uint32_t{R_OK | W_OK | X_OK}) != 0) return EINVAL;
    if (config_.read_only && (in.mask & W_OK) != 0) return EROFS;
    const auto fd = inodes_.open(call.header.nodeid);
    if (!fd) return fd.error();
    const auto name = Reopener::name_of((*fd)->get());
    return ::faccessat(reopener_.directory(), name.data(), static_cast<int>(in.mask), AT_EACCESS) ==
                   0
               ? 0
               : errno;
}

}  // namespace banyan
