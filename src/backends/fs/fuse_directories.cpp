// Open directories of a share.
#include <algorithm>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>

#include "backends/fs/fuse_server.hpp"

namespace banyan {

namespace {

constexpr uint32_t kUnknownInode = 0xffff'ffff;

bool is_dot(const char* name) {
    return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

}  // namespace

int FuseServer::opendir(FuseCall& call) {
    const auto path_fd = inodes_.open(call.header.nodeid);
    if (!path_fd) return path_fd.error();
    auto fd = reopener_.open((*path_fd)->get(), O_RDONLY | O_DIRECTORY);
    if (!fd) return fd.error();
    return answer_open(call, std::move(*fd), true);
}

int FuseServer::releasedir(FuseCall& call) {
    fuse_release_in in;
    if (!call.arguments.take(in)) return EINVAL;
    return handles_.remove(in.fh) ? 0 : EBADF;
}

int FuseServer::fsyncdir(FuseCall& call) {
    fuse_fsync_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto directory = handles_.find(in.fh, true);
    if (!directory) return directory.error();
    return ::fsync((*directory)->fd.get()) == 0 ? 0 : errno;
}

int FuseServer::readdir(FuseCall& call) {
    return read_entries(call, false);
}

int FuseServer::readdirplus(FuseCall& call) {
    return read_entries(call, true);
}

// The offsets of entries are those of the host's file system, which may be anything: the guest
// gives back what it got.
int FuseServer::read_entries(FuseCall& call, bool plus) {
    fuse_read_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto handle = handles_.find(in.fh, true);
    if (!handle) return handle.error();
    const size_t room =
        std::min({uint64_t{in.size}, call.room, uint64_t{FuseScratch::kLongestAnswer}});
    // About as many as will fit with what stands before each name.
    constexpr size_t kLeast = sizeof(dirent64);
    auto& entries = call.scratch.entries;
    entries.resize(std::max(plus ? room / 4 : room, kLeast));

    const int fd = (*handle)->fd.get();
    const MutexLock lock((*handle)->position);
    if (::lseek(fd, static_cast<off_t>(in.offset), SEEK_SET) < 0) return errno;
    for (;;) {
        const ssize_t bytes = ::getdents64(fd, entries.data(), entries.size());
        if (bytes < 0) return call.scratch.answer.empty() ? errno : 0;
        if (bytes == 0) return 0;
        for (ssize_t at = 0; at < bytes;) {
            const auto* entry = reinterpret_cast<const dirent64*>(entries.data() + at);
            if (!add_entry(call, room, *entry, (*handle)->fd.get(), plus)) return 0;
            at += entry->d_reclen;
        }
    }
}

// False when there is no room for it.
bool FuseServer::add_entry(FuseCall& call, size_t room, const dirent64& entry, int directory,
                           bool plus) {
    const size_t name_length = std::strlen(entry.d_name);
    const size_t head = (plus ? sizeof(fuse_entry_out) : 0) + FUSE_NAME_OFFSET;
    const size_t size = FUSE_REC_ALIGN(head + name_length);
    auto& answer = call.scratch.answer;
    if (answer.size() + size > room) return false;
    const size_t end = answer.size() + size;
    if (plus) call.answer(entry_of(call, directory, entry.d_name));
    fuse_dirent out{};
    // What is above the share is nobody's business.
    out.ino = is_dot(entry.d_name) ? kUnknownInode : entry.d_ino;
    out.off = static_cast<uint64_t>(entry.d_off);
    out.namelen = static_cast<uint32_t>(name_length);
    out.type = entry.d_type;
    call.answer_bytes(std::as_bytes(std::span(&out, 1)).first(FUSE_NAME_OFFSET));
    call.answer_bytes(std::as_bytes(std::span(entry.d_name, name_length)));
    answer.resize(end);
    return true;
}

// Node 0 is for entries of which the guest learns no more than the name: those that are no files
// of the share, or went away meanwhile.
fuse_entry_out FuseServer::entry_of(const FuseCall& call, int directory, const char* name) {
    if (is_dot(name)) return {};
    auto fd = open_child(directory, name);
    if (!fd) return {};
    const auto entry = enter({call.header.nodeid, nullptr, name}, std::move(*fd));
    return entry ? *entry : fuse_entry_out{};
}

}  // namespace banyan
