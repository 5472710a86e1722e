// Names of a share: looking them up, making, moving and removing them.
#include <climits>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/syscall.h>

#include "backends/fs/fuse_server.hpp"

namespace banyan {

// The next name of a message, in the directory of that node.
FsResult<FuseServer::Place> FuseServer::take_place(FuseCall& call, Node directory) {
    const char* name = call.arguments.take_text();
    if (name == nullptr) return fs_fail(EINVAL);
    if (::strnlen(name, NAME_MAX + 1) > NAME_MAX) return fs_fail(ENAMETOOLONG);
    if (!is_file_name(name)) return fs_fail(EINVAL);
    auto fd = inodes_.open(directory);
    if (!fd) return fs_fail(fd.error());
    return Place{directory, std::move(*fd), name};
}

// What the guest is told of a file that it finds at a place; counts as a look-up.
FsResult<fuse_entry_out> FuseServer::enter(const Place& place, PathFd fd) {
    const auto status = status_of(fd->get());
    if (!status) return fs_fail(status.error());
    const auto node = inodes_.enter(identity_of(*status), place.parent, place.name, std::move(fd));
    if (!node) return fs_fail(node.error());
    fuse_entry_out out{};
    out.nodeid = *node;
    out.entry_valid = name_seconds();
    out.attr_valid = attribute_seconds(status->stx_mode);
    out.attr = attributes(*status);
    return out;
}

FsResult<fuse_entry_out> FuseServer::look_up(const Place& place) {
    auto fd = open_child(place.directory->get(), place.name);
    if (!fd) return fs_fail(fd.error());
    return enter(place, std::move(*fd));
}

int FuseServer::answer_entry(FuseCall& call, const Place& place) {
    const auto entry = look_up(place);
    if (!entry) return entry.error();
    call.answer(*entry);
    return 0;
}

int FuseServer::lookup(FuseCall& call) {
    const auto place = take_place(call, call.header.nodeid);
    return place ? answer_entry(call, *place) : place.error();
}

int FuseServer::forget(FuseCall& call) {
    fuse_forget_in in;
    if (call.arguments.take(in)) inodes_.forget(call.header.nodeid, in.nlookup);
    return 0;
}

int FuseServer::batch_forget(FuseCall& call) {
    fuse_batch_forget_in in;
    if (!call.arguments.take(in)) return 0;
    fuse_forget_one one;
    for (uint32_t i = 0; i < in.count && call.arguments.take(one); ++i)
        inodes_.forget(one.nodeid, one.nlookup);
    return 0;
}

int FuseServer::readlink(FuseCall& call) {
    const auto fd = inodes_.open(call.header.nodeid);
    if (!fd) return fd.error();
    char target[PATH_MAX];
    const ssize_t length = ::readlinkat((*fd)->get(), "", target, sizeof(target));
    // Of what is no symbolic link.
    if (length < 0) return errno == ENOENT ? EINVAL : errno;
    call.answer_bytes(std::as_bytes(std::span(target, static_cast<size_t>(length))));
    return 0;
}

// The target is the guest's affair: nothing here ever follows it.
int FuseServer::symlink(FuseCall& call) {
    const auto place = take_place(call, call.header.nodeid);
    if (!place) return place.error();
    const char* target = call.arguments.take_text();
    if (target == nullptr) return EINVAL;
    {
        const FileOwner owner(ids_, call.header);
        if (::symlinkat(target, place->directory->get(), place->name) != 0) return errno;
    }
    return answer_entry(call, *place);
}

// Regular files, FIFOs and sockets; a device would be one of the host's.
int FuseServer::mknod(FuseCall& call) {
    fuse_mknod_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto place = take_place(call, call.header.nodeid);
    if (!place) return place.error();
    const uint32_t kind = in.mode & S_IFMT;
    if (kind != S_IFREG && kind != S_IFIFO && kind != S_IFSOCK) return EPERM;
    {
        const FileOwner owner(ids_, call.header);
        const uint32_t mode = kind | allowed_mode(in.mode, false);
        if (::mknodat(place->directory->get(), place->name, mode, 0) != 0) return errno;
    }
    return answer_entry(call, *place);
}

int FuseServer::mkdir(FuseCall& call) {
    fuse_mkdir_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto place = take_place(call, call.header.nodeid);
    if (!place) return place.error();
    {
        const FileOwner owner(ids_, call.header);
        const uint32_t mode = allowed_mode(in.mode, true);
        if (::mkdirat(place->directory->get(), place->name, mode) != 0) return errno;
    }
    return answer_entry(call, *place);
}

int FuseServer::unlink(FuseCall& call) {
    return remove(call, 0);
}

int FuseServer::rmdir(FuseCall& call) {
    return remove(call, AT_REMOVEDIR);
}

// A removed file lives on while the guest has it open, or runs in a removed directory.
int FuseServer::remove(FuseCall& call, int flags) {
    const auto place = take_place(call, call.header.nodeid);
    if (!place) return place.error();
    keep_file_at(*place);
    return ::unlinkat(place->directory->get(), place->name, flags) == 0 ? 0 : errno;
}

void FuseServer::keep_file_at(const Place& place) {
    auto fd = open_child(place.directory->get(), place.name);
    if (!fd) return;
    const auto status = status_of((*fd)->get());
    if (status) inodes_.keep(identity_of(*status), std::move(*fd));
}

int FuseServer::rename(FuseCall& call) {
    fuse_rename_in in;
    if (!call.arguments.take(in)) return EINVAL;
    return rename(call, in.newdir, 0);
}

int FuseServer::rename2(FuseCall& call) {
    fuse_rename2_in in;
    if (!call.arguments.take(in)) return EINVAL;
    // A whiteout is a device.
    if ((in.flags & ~uint32_t{RENAME_NOREPLACE | RENAME_EXCHANGE}) != 0) return EINVAL;
    return rename(call, in.newdir, in.flags);
}

int FuseServer::rename(FuseCall& call, Node new_directory, unsigned flags) {
    const auto from = take_place(call, call.header.nodeid);
    if (!from) return from.error();
    const auto to = take_place(call, new_directory);
    if (!to) return to.error();
    const auto moved = identity_at(*from);
    const auto other = flags == RENAME_EXCHANGE ? identity_at(*to) : fs_fail(ENOENT);
    if (flags == 0) keep_file_at(*to);
    if (::syscall(SYS_renameat2, from->directory->get(), from->name, to->directory->get(), to->name,
                  flags) != 0) {
        return errno;
    }
    if (moved) inodes_.moved(*moved, to->parent, to->name);
    if (other) inodes_.moved(*other, from->parent, from->name);
    return 0;
}

FsResult<InodeIdentity> FuseServer::identity_at(const Place& place) {
    const auto fd = open_child(place.directory->get(), place.name);
    if (!fd) return fs_fail(fd.error());
    const auto status = status_of((*fd)->get());
    if (!status) return fs_fail(status.error());
    return identity_of(*status);
}

// The link of the O_PATH descriptor leads to the file itself, also where that is a symbolic link.
int FuseServer::link(FuseCall& call) {
    fuse_link_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto place = take_place(call, call.header.nodeid);
    if (!place) return place.error();
    const auto file = inodes_.open(in.oldnodeid);
    if (!file) return file.error();
    const auto name = Reopener::name_of((*file)->get());
    if (::linkat(reopener_.directory(), name.data(), place->directory->get(), place->name,
                 AT_SYMLINK_FOLLOW) != 0) {
        return errno;
    }
    return answer_entry(call, *place);
}

}  // namespace banyan
