// Files of the host, reached by names that a guest chose: one component at a time, and never
// through a symbolic link, a mount point or a magic link.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <sys/stat.h>
#include <tl/expected.hpp>

#include "host/posix/unique_fd.hpp"

namespace banyan {

// A value, or the errno that the guest is told.
template <class T>
using FsResult = tl::expected<T, int>;

inline tl::unexpected<int> fs_fail(int error_number) {
    return tl::unexpected<int>(error_number);
}

// Names a file without opening it (O_PATH). Shared, so that it stays while somebody works with it.
using PathFd = std::shared_ptr<const UniqueFd>;

// What tells a file from all others, also from a later one with the same inode number.
struct InodeIdentity {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t born_seconds = 0;  // 0 where the host's file system does not know
    uint32_t born_nanoseconds = 0;

    bool operator==(const InodeIdentity&) const = default;
};

struct InodeIdentityHash {
    size_t operator()(const InodeIdentity& identity) const {
        return std::hash<uint64_t>()(identity.inode * 0x9e37'79b9'7f4a'7c15 ^ identity.device);
    }
};

InodeIdentity identity_of(const struct statx& status);

// Of the file itself that the descriptor names.
FsResult<struct statx> status_of(int fd);

// Whether a guest may use this as the name of one file: not empty, at most 255 bytes, no slash, and
// neither "." nor "..".
bool is_file_name(const char* name);

// The file of that name right in the directory, as it is: a symbolic link is not followed. EXDEV
// for what another file system is mounted on. Preconditions: is_file_name(name).
FsResult<PathFd> open_child(int directory, const char* name);

// Opens what O_PATH descriptors name.
class Reopener {
public:
    static FsResult<Reopener> create();

    // `flags` without O_CREAT and O_NOFOLLOW. Only regular files and directories: to open others
    // may do things.
    FsResult<UniqueFd> open(int path_fd, int flags) const;
    // Names the file that is open.
    FsResult<PathFd> path_of(int fd) const;
    // The directory and name under which calls that know no O_PATH descriptors find the file.
    int directory() const { return links_.get(); }
    using Name = std::array<char, 12>;
    static Name name_of(int path_fd);

private:
    explicit Reopener(UniqueFd links) : links_(std::move(links)) {}

    UniqueFd links_;  // /proc/self/fd
};

}  // namespace banyan
