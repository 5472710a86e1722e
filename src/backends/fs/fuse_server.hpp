// FuseServer: answers FUSE requests with the files of one directory of the host.
//
// Every file is reached by an O_PATH descriptor that the server holds (inode_table.hpp) and names
// of one component (host_file.hpp), so that no request leads out of the directory. Set-user-ID and
// set-group-ID bits of files are never set, devices never made.
//
// serve() from any thread, several at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <dirent.h>
#include <memory>
#include <string>

#include "backends/fs/fuse_message.hpp"
#include "backends/fs/handle_table.hpp"
#include "backends/fs/host_file.hpp"
#include "backends/fs/id_map.hpp"
#include "backends/fs/inode_table.hpp"
#include "backends/fs/share_cache.hpp"
#include "support/result.hpp"

namespace banyan {

struct FuseServerConfig {
    std::string directory = {};
    bool read_only = false;
    ShareCache cache = ShareCache::automatic;
    InodeLimits inodes = {};
    size_t handles = 4096;  // open files and directories
};

class FuseServer {
public:
    static Result<std::unique_ptr<FuseServer>> create(const FuseServerConfig& config);
    FuseServer(const FuseServer&) = delete;
    FuseServer& operator=(const FuseServer&) = delete;

    // Returns how many bytes the answer has; 0: there is none.
    uint32_t serve(const FsRequest& request, FuseScratch& scratch);

    // From INIT to DESTROY.
    bool mounted() const { return mounted_.load(); }
    // Forgets all that the guest knows and has open.
    void reset();

    const InodeTable& inodes() const { return inodes_; }

private:
    using Node = InodeTable::Node;
    struct Operation;
    struct Place;

    FuseServer(const FuseServerConfig& config, Reopener reopener, PathFd root,
               const InodeIdentity& identity);
    static const Operation* find_operation(uint32_t opcode);
    bool read_message(FuseCall& call);
    static uint32_t answer(FuseCall& call, int error);

    // fuse_server.cpp: the session. Each gives 0 or an errno.
    int init(FuseCall& call);
    int destroy(FuseCall& call);
    int statfs(FuseCall& call);
    int syncfs(FuseCall& call);
    int nothing(FuseCall& call);

    // fuse_names.cpp
    int lookup(FuseCall& call);
    int forget(FuseCall& call);
    int batch_forget(FuseCall& call);
    int readlink(FuseCall& call);
    int symlink(FuseCall& call);
    int mknod(FuseCall& call);
    int mkdir(FuseCall& call);
    int unlink(FuseCall& call);
    int rmdir(FuseCall& call);
    int rename(FuseCall& call);
    int rename2(FuseCall& call);
    int link(FuseCall& call);
    FsResult<Place> take_place(FuseCall& call, Node directory);
    FsResult<fuse_entry_out> enter(const Place& place, PathFd fd);
    FsResult<fuse_entry_out> look_up(const Place& place);
    int answer_entry(FuseCall& call, const Place& place);
    int remove(FuseCall& call, int flags);
    int rename(FuseCall& call, Node new_directory, unsigned flags);
    void keep_file_at(const Place& place);
    static FsResult<InodeIdentity> identity_at(const Place& place);

    // fuse_attributes.cpp
    int getattr(FuseCall& call);
    int setattr(FuseCall& call);
    int access(FuseCall& call);
    uint64_t name_seconds() const;
    uint64_t attribute_seconds(uint32_t mode) const;
    fuse_attr attributes(const struct statx& status) const;
    int answer_attributes(FuseCall& call, int fd);
    int set_mode(int path_fd, uint32_t mode);
    int set_owner(int path_fd, const fuse_setattr_in& in);
    int set_size(int path_fd, const fuse_setattr_in& in);

    // fuse_files.cpp
    int open(FuseCall& call);
    int create_file(FuseCall& call);
    int read(FuseCall& call);
    int write(FuseCall& call);
    int flush(FuseCall& call);
    int fsync(FuseCall& call);
    int release(FuseCall& call);
    int lseek(FuseCall& call);
    int fallocate(FuseCall& call);
    int copy_file_range(FuseCall& call);
    int host_flags(uint32_t guest_flags) const;
    FsResult<UniqueFd> create_at(const FuseCall& call, const Place& place,
                                 const fuse_create_in& in);
    int answer_open(FuseCall& call, UniqueFd fd, bool directory);
    fuse_open_out open_answer(uint64_t handle, bool directory) const;

    // fuse_directories.cpp
    int opendir(FuseCall& call);
    int readdir(FuseCall& call);
    int readdirplus(FuseCall& call);
    int releasedir(FuseCall& call);
    int fsyncdir(FuseCall& call);
    int read_entries(FuseCall& call, bool plus);
    bool add_entry(FuseCall& call, size_t room, const dirent64& entry, int directory, bool plus);
    fuse_entry_out entry_of(const FuseCall& call, int directory, const char* name);

    // fuse_xattrs.cpp
    int setxattr(FuseCall& call);
    int getxattr(FuseCall& call);
    int listxattr(FuseCall& call);
    int removexattr(FuseCall& call);
    FsResult<UniqueFd> open_for_xattr(Node node);

    // configuration
    const FuseServerConfig config_;
    const IdMap ids_;
    const Reopener reopener_;
    // what the guest knows
    InodeTable inodes_;
    HandleTable handles_;
    std::atomic<bool> mounted_{false};
};

// Whom a file is made as. Root's server makes it as the guest's user, in this thread alone.
class FileOwner {
public:
    FileOwner(const IdMap& ids, const fuse_in_header& header);
    ~FileOwner();
    FileOwner(const FileOwner&) = delete;
    FileOwner& operator=(const FileOwner&) = delete;

private:
    bool changed_ = false;
};

// Permissions that a guest may give: those of its own system, but no set-ID bit of a file.
uint32_t allowed_mode(uint32_t mode, bool directory);
// As the host does when an unprivileged program writes to a file.
void drop_set_id_bits(int fd);

// One name in one directory, both checked.
struct FuseServer::Place {
    Node parent;
    PathFd directory;
    const char* name;
};

}  // namespace banyan
