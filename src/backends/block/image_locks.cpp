#include "backends/block/image_locks.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>

namespace banyan {

namespace {

// QEMU's convention (block/file-posix.c, RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE): each
// permission has two bytes of the file. Whoever uses the permission holds a shared lock on the
// first, whoever does not let others use it a shared lock on the second; an exclusive lock that
// could be had tells that nobody holds one.
constexpr off_t kUsed = 100;
constexpr off_t kDenied = 200;

// BLK_PERM_* in include/block/block-common.h, as numbers of bits.
enum Permission : uint8_t { consistent_read = 0, write = 1, resize = 3 };

constexpr std::array kOfReader{consistent_read};
constexpr std::array kOfWriter{consistent_read, write, resize};
constexpr std::array kDeniedToOthers{write, resize};

// Locks of the open file description (fcntl(2), F_OFD_SETLK) belong to this file object, not to the
// process: two VMs in one process exclude each other too. They vanish with the last descriptor.
struct flock byte_lock(short type, off_t byte) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return lock;
}

enum class Locked : uint8_t { yes, no, unknown };

Locked hold(int fd, off_t byte) {
    struct flock lock = byte_lock(F_RDLCK, byte);
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return Locked::yes;
    return errno == EAGAIN || errno == EACCES ? Locked::no : Locked::unknown;
}

bool held_by_others(int fd, off_t byte) {
    struct flock lock = byte_lock(F_WRLCK, byte);
    return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

template <class Permissions>
Locked hold_all(int fd, off_t base, const Permissions& permissions) {
    for (const Permission permission : permissions) {
        const Locked locked = hold(fd, base + permission);
        if (locked != Locked::yes) return locked;
    }
    return Locked::yes;
}

template <class Permissions>
bool any_held(int fd, off_t base, const Permissions& permissions) {
    for (const Permission permission : permissions) {
        if (held_by_others(fd, base + permission)) return true;
    }
    return false;
}

// First our locks, then a look at those of others: of two who come at once, at least one sees the
// other.
template <class Permissions>
Locked lock_bytes(int fd, const Permissions& used) {
    Locked locked = hold_all(fd, kUsed, used);
    if (locked == Locked::yes) locked = hold_all(fd, kDenied, kDeniedToOthers);
    if (locked != Locked::yes) return locked;
    if (any_held(fd, kDenied, used) || any_held(fd, kUsed, kDeniedToOthers)) return Locked::no;
    return Locked::yes;
}

}  // namespace

// File systems without locks (EINVAL, ENOLCK, EOPNOTSUPP) still make usable disks.
Result<void> lock_image(int fd, const std::string& what, ImageUse use) {
    const Locked locked =
        use == ImageUse::write ? lock_bytes(fd, kOfWriter) : lock_bytes(fd, kOfReader);
    if (locked != Locked::no) return {};
    return fail(ErrorCode::busy,
                what + ": another VM or program uses it; end that, or use it read-only in both");
}

}  // namespace banyan
