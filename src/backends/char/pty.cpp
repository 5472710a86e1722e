#include "backends/char/pty.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <pty.h>
#include <termios.h>

#include "host/posix/host_error.hpp"

namespace banyan {

Result<Pty> open_pty() {
    termios raw{};
    ::cfmakeraw(&raw);
    raw.c_cflag |= CREAD;
    int ours = -1;
    int users = -1;
    if (::openpty(&ours, &users, nullptr, &raw, nullptr) != 0) {
        return host_fail(errno, "open a pseudo-terminal",
                         "see that /dev/pts is mounted, or use another --console");
    }
    Pty pty;
    pty.terminal.reset(users);
    UniqueFd first(ours);
    UniqueFd second(::fcntl(ours, F_DUPFD_CLOEXEC, 0));
    std::array<char, 64> name{};
    if (!second.valid() || ::ttyname_r(users, name.data(), name.size()) != 0) {
        return host_fail(errno, "open a pseudo-terminal", "use another --console");
    }
    ::fcntl(ours, F_SETFD, FD_CLOEXEC);
    ::fcntl(users, F_SETFD, FD_CLOEXEC);
    pty.path = name.data();
    pty.in = StreamFd::own(std::move(first));
    pty.out = StreamFd::own(std::move(second));
    return pty;
}

}  // namespace banyan
