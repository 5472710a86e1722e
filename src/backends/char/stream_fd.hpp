// StreamFd: one end of a character stream that is read or written without ever waiting.
#pragma once

#include <cstdint>
#include <span>
#include <sys/types.h>

#include "host/posix/unique_fd.hpp"

namespace banyan {

// Standard input and output are shared with other processes, and so is their O_NONBLOCK flag:
// setting it makes writes of the shell or of make fail, and a process that is killed cannot clear
// it. A borrowed descriptor is therefore never changed: it is opened anew where that is possible,
// and otherwise asked before each access.
class StreamFd {
public:
    enum class Direction : uint8_t { in, out };

    StreamFd() = default;
    // Takes a descriptor that is used by nobody else, and makes it non-blocking.
    static StreamFd own(UniqueFd fd);
    // Uses fd, which stays open and must stay so.
    static StreamFd borrow(int fd, Direction direction);

    int handle() const { return own_.valid() ? own_.get() : borrowed_; }
    bool valid() const { return handle() >= 0; }

    // As read(2) and write(2) on a non-blocking descriptor: -1 and EAGAIN instead of waiting, EINTR
    // hidden. write() may take less than it could.
    ssize_t read(std::span<uint8_t> bytes) const;
    ssize_t write(std::span<const uint8_t> bytes) const;

private:
    enum class Mode : uint8_t { plain, socket, ask_first };

    bool is_ready(short events) const;

    UniqueFd own_;
    int borrowed_ = -1;
    Mode mode_ = Mode::plain;
    size_t most_written_ = 0;  // what fits when poll() says so
};

}  // namespace banyan
