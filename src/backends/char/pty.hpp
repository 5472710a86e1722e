// A pseudo-terminal: the guest's console under a name that screen, minicom or another program
// opens.
#pragma once

#include <string>

#include "backends/char/stream_fd.hpp"
#include "support/result.hpp"

namespace banyan {

struct Pty {
    StreamFd in;
    StreamFd out;
    UniqueFd terminal;  // kept open: without any user the other end would read as an error
    std::string path;   // "/dev/pts/3"
};

// In raw mode: the guest does the echo and line editing.
Result<Pty> open_pty();

}  // namespace banyan
