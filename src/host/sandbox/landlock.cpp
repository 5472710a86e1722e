#include "host/sandbox/landlock.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/posix/host_error.hpp"

namespace banyan::landlock {

namespace {

// Of include/uapi/linux/landlock.h, beyond the version 2 that Debian 12's headers have.
constexpr uint64_t kTruncate = uint64_t{1} << 14;        // version 3, Linux 6.2
constexpr uint64_t kIoctlOfDevices = uint64_t{1} << 15;  // version 5, Linux 6.10
constexpr uint64_t kBindTcp = uint64_t{1} << 0;          // version 4, Linux 6.7
constexpr uint64_t kConnectTcp = uint64_t{1} << 1;
constexpr uint64_t kAbstractSockets = uint64_t{1} << 0;  // version 6, Linux 6.12
constexpr uint64_t kSignals = uint64_t{1} << 1;

struct Attributes {
    uint64_t files = 0;
    uint64_t net = 0;     // version 4
    uint64_t scoped = 0;  // version 6
};

// What each version added, files first: version 1 has bits 0 to 12, version 2 moves to elsewhere.
uint64_t known_files(int version) {
    uint64_t known = (uint64_t{1} << 13) - 1;
    if (version >= 2) known |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) known |= kTruncate;
    if (version >= 5) known |= kIoctlOfDevices;
    return known;
}

constexpr uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kDropFiles = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                LANDLOCK_ACCESS_FS_REMOVE_FILE | kTruncate;
constexpr uint64_t kRead = kReadFile | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kOfFiles = kReadFile | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;

uint64_t rights(Access access) {
    switch (access) {
        case Access::read_file: return kReadFile;
        case Access::device: return kReadFile | LANDLOCK_ACCESS_FS_WRITE_FILE;
        case Access::read: return kRead;
        case Access::write: return known_files(3) & ~uint64_t{LANDLOCK_ACCESS_FS_EXECUTE};
        case Access::drop_files: return kDropFiles;
    }
    return 0;
}

Attributes attributes(int version) {
    Attributes all;
    all.files = known_files(version);
    if (version >= 4) all.net = kBindTcp | kConnectTcp;
    if (version >= 6) all.scoped = kAbstractSockets | kSignals;
    return all;
}

size_t size_of_attributes(int version) {
    return version >= 6   ? sizeof(Attributes)
           : version >= 4 ? 2 * sizeof(uint64_t)
                          : sizeof(uint64_t);
}

tl::unexpected<Error> refused(std::string_view what) {
    return host_fail(errno, fmt::format("sandbox: Landlock: {}", what), "use --sandbox off");
}

// A right to directories is none to a file.
Result<void> add_place(int rules, const Place& place, uint64_t known) {
    const UniqueFd at(::open(place.path.c_str(), O_PATH | O_CLOEXEC));
    struct stat found {};
    if (!at.valid() || ::fstat(at.get(), &found) != 0) return {};
    landlock_path_beneath_attr beneath{};
    beneath.allowed_access = rights(place.access) & known;
    if (!S_ISDIR(found.st_mode)) beneath.allowed_access &= kOfFiles;
    beneath.parent_fd = at.get();
    if (::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0)
        return {};
    return refused(quote_name(place.path));
}

}  // namespace

int version() {
    const long version =
        ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return static_cast<int>(std::clamp<long>(version, 0, 7));
}

// Ports cannot be named before they are known, so that either none or all may be connected to.
Result<UniqueFd> make(const Rules& rules) {
    const int known = version();
    Attributes all = attributes(known);
    if (rules.connect_tcp) all.net &= ~kConnectTcp;
    UniqueFd made(static_cast<int>(
        ::syscall(SYS_landlock_create_ruleset, &all, size_of_attributes(known), 0)));
    if (!made.valid()) return refused("make rules");
    for (const Place& place : rules.places)
        TRY(add_place(made.get(), place, all.files));
    return made;
}

int enter(int rules) {
    return ::syscall(SYS_landlock_restrict_self, rules, 0) == 0 ? 0 : errno;
}

}  // namespace banyan::landlock
