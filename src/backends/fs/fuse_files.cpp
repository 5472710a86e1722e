// Open files of a share.
#include <algorithm>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>

#include "backends/fs/fuse_server.hpp"

namespace banyan {

namespace {

// Of one READ or WRITE: what INIT offers. A guest that asks for more gets a short answer.
constexpr uint64_t kLongestTransfer = uint64_t{1} << 20;
// Of one COPY_FILE_RANGE, so that a thread is back soon.
constexpr uint64_t kLongestCopy = uint64_t{64} << 20;

bool inside_file(uint64_t offset, uint64_t length) {
    return offset <= INT64_MAX && length <= INT64_MAX - offset;
}

bool writes(uint32_t flags) {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
}

}  // namespace

// Of the guest's flags those that mean something here. A guest that writes back pages has to read
// the rest of them first, and knows itself where a file ends.
int FuseServer::host_flags(uint32_t guest_flags) const {
    constexpr uint32_t kKept = O_ACCMODE | O_TRUNC | O_APPEND | O_DSYNC | O_SYNC;
    auto flags = static_cast<int>(guest_flags & kKept);
    if ((flags & O_ACCMODE) == O_ACCMODE) flags = (flags & ~O_ACCMODE) | O_RDWR;
    if (config_.cache != ShareCache::writeback) return flags;
    if ((flags & O_ACCMODE) == O_WRONLY) flags = (flags & ~O_ACCMODE) | O_RDWR;
    return flags & ~O_APPEND;
}

fuse_open_out FuseServer::open_answer(uint64_t handle, bool directory) const {
    fuse_open_out out{};
    out.fh = handle;
    if (config_.cache == ShareCache::writeback)
        out.open_flags = FOPEN_KEEP_CACHE | (directory ? uint32_t{FOPEN_CACHE_DIR} : 0);
    return out;
}

int FuseServer::answer_open(FuseCall& call, UniqueFd fd, bool directory) {
    const auto handle = handles_.add(std::move(fd), directory);
    if (!handle) return handle.error();
    call.answer(open_answer(*handle, directory));
    return 0;
}

int FuseServer::open(FuseCall& call) {
    fuse_open_in in;
    if (!call.arguments.take(in)) return EINVAL;
    if (config_.read_only && writes(in.flags)) return EROFS;
    const auto path_fd = inodes_.open(call.header.nodeid);
    if (!path_fd) return path_fd.error();
    auto fd = reopener_.open((*path_fd)->get(), host_flags(in.flags));
    if (!fd) return fd.error();
    if ((in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0) drop_set_id_bits(fd->get());
    return answer_open(call, std::move(*fd), false);
}

// What is there already is opened as open() does, so that neither a symbolic link nor a FIFO is.
int FuseServer::create_file(FuseCall& call) {
    fuse_create_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto place = take_place(call, call.header.nodeid);
    if (!place) return place.error();
    FsResult<PathFd> path_fd = fs_fail(EEXIST);
    auto fd = create_at(call, *place, in);
    if (fd) {
        path_fd = reopener_.path_of(fd->get());
    } else if (fd.error() == EEXIST && (in.flags & O_EXCL) == 0) {
        path_fd = open_child(place->directory->get(), place->name);
        if (path_fd) fd = reopener_.open((*path_fd)->get(), host_flags(in.flags));
    }
    if (!fd) return fd.error();
    if (!path_fd) return path_fd.error();
    const auto entry = enter(*place, std::move(*path_fd));
    if (!entry) return entry.error();
    const auto handle = handles_.add(std::move(*fd), false);
    if (!handle) {
        inodes_.forget(entry->nodeid, 1);
        return handle.error();
    }
    call.answer(*entry);
    call.answer(open_answer(*handle, false));
    return 0;
}

FsResult<UniqueFd> FuseServer::create_at(const FuseCall& call, const Place& place,
                                         const fuse_create_in& in) {
    const FileOwner owner(ids_, call.header);
    const int flags =
        (host_flags(in.flags) & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
    const int fd = retry_interrupted([&] {
        return ::openat(place.directory->get(), place.name, flags, allowed_mode(in.mode, false));
    });
    if (fd < 0) return fs_fail(errno);
    return UniqueFd(fd);
}

// Right into the guest's memory, behind the header.
int FuseServer::read(FuseCall& call) {
    fuse_read_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto file = handles_.find(in.fh, false);
    if (!file) return file.error();
    const uint64_t length = std::min({uint64_t{in.size}, call.room, kLongestTransfer});
    if (!inside_file(in.offset, length)) return EINVAL;
    auto& parts = call.scratch.parts;
    parts_of(call.request.out, sizeof(fuse_out_header), length, parts);
    if (parts.empty()) return 0;
    const ssize_t count = retry_interrupted([&] {
        return ::preadv((*file)->fd.get(), parts.data(), static_cast<int>(parts.size()),
                        static_cast<off_t>(in.offset));
    });
    if (count < 0) return errno;
    call.placed = static_cast<uint64_t>(count);
    return 0;
}

int FuseServer::write(FuseCall& call) {
    fuse_write_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto file = handles_.find(in.fh, false);
    if (!file) return file.error();
    constexpr uint64_t kBefore = sizeof(fuse_in_header) + sizeof(in);
    const uint64_t length =
        std::min({uint64_t{in.size}, call.header.len - kBefore, kLongestTransfer});
    if (length != in.size || !inside_file(in.offset, length)) return EINVAL;
    auto& parts = call.scratch.parts;
    parts_of(call.request.in, kBefore, length, parts);
    const ssize_t count = retry_interrupted([&] {
        return ::pwritev((*file)->fd.get(), parts.data(), static_cast<int>(parts.size()),
                         static_cast<off_t>(in.offset));
    });
    if (count < 0) return errno;
    if ((in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0) drop_set_id_bits((*file)->fd.get());
    call.answer(fuse_write_out{static_cast<uint32_t>(count), 0});
    return 0;
}

// Some file systems tell of failed writes when a descriptor is closed.
int FuseServer::flush(FuseCall& call) {
    fuse_flush_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto file = handles_.find(in.fh, false);
    if (!file) return file.error();
    const int copy = ::fcntl((*file)->fd.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return errno;
    return ::close(copy) == 0 || errno == EINTR ? 0 : errno;
}

int FuseServer::fsync(FuseCall& call) {
    fuse_fsync_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto file = handles_.find(in.fh, false);
    if (!file) return file.error();
    const int fd = (*file)->fd.get();
    const bool data_only = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
    return (data_only ? ::fdatasync(fd) : ::fsync(fd)) == 0 ? 0 : errno;
}

int FuseServer::release(FuseCall& call) {
    fuse_release_in in;
    if (!call.arguments.take(in)) return EINVAL;
    return handles_.remove(in.fh) ? 0 : EBADF;
}

// Linux asks for data and holes only, and knows the rest itself.
int FuseServer::lseek(FuseCall& call) {
    fuse_lseek_in in;
    if (!call.arguments.take(in)) return EINVAL;
    if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) return EINVAL;
    if (in.offset > INT64_MAX) return EINVAL;
    const auto file = handles_.find(in.fh, false);
    if (!file) return file.error();
    const off_t offset =
        ::lseek((*file)->fd.get(), static_cast<off_t>(in.offset), static_cast<int>(in.whence));
    if (offset < 0) return errno;
    call.answer(fuse_lseek_out{static_cast<uint64_t>(offset)});
    return 0;
}

int FuseServer::fallocate(FuseCall& call) {
    fuse_fallocate_in in;
    if (!call.arguments.take(in)) return EINVAL;
    constexpr uint32_t kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    if ((in.mode & ~kKnown) != 0) return EOPNOTSUPP;
    if (!inside_file(in.offset, in.length)) return EINVAL;
    const auto file = handles_.find(in.fh, false);
    if (!file) return file.error();
    return ::fallocate((*file)->fd.get(), static_cast<int>(in.mode), static_cast<off_t>(in.offset),
                       static_cast<off_t>(in.length)) == 0
               ? 0
               : errno;
}

int FuseServer::copy_file_range(FuseCall& call) {
    fuse_copy_file_range_in in;
    if (!call.arguments.take(in)) return EINVAL;
    if (in.flags != 0 || in.off_in > INT64_MAX || in.off_out > INT64_MAX) return EINVAL;
    const auto from = handles_.find(in.fh_in, false);
    const auto to = handles_.find(in.fh_out, false);
    if (!from || !to) return EBADF;
    auto from_offset = static_cast<off64_t>(in.off_in);
    auto to_offset = static_cast<off64_t>(in.off_out);
    const ssize_t count = ::copy_file_range((*from)->fd.get(), &from_offset, (*to)->fd.get(),
                                            &to_offset, std::min(in.len, kLongestCopy), 0);
    if (count < 0) return errno;
    call.answer(fuse_write_out{static_cast<uint32_t>(count), 0});
    return 0;
}

}  // namespace banyan
