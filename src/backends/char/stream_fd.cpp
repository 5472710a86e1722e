#include "backends/char/stream_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>

namespace banyan {

StreamFd StreamFd::own(UniqueFd fd) {
    StreamFd stream;
    const int flags = ::fcntl(fd.get(), F_GETFL);
    ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
    stream.own_ = std::move(fd);
    return stream;
}

StreamFd StreamFd::borrow(int fd, Direction direction) {
    StreamFd stream;
    stream.borrowed_ = fd;
    struct stat info {};
    // What is closed fails at the first access. Files never wait, and a second opening would have
    // its own position.
    if (::fstat(fd, &info) != 0 || S_ISREG(info.st_mode)) return stream;
    if (S_ISSOCK(info.st_mode)) {
        stream.mode_ = Mode::socket;
        return stream;
    }
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int access = direction == Direction::in ? O_RDONLY : O_WRONLY;
    stream.own_.reset(::open(path.c_str(), access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!stream.own_.valid()) {
        stream.mode_ = Mode::ask_first;
        // poll(2) promises room for PIPE_BUF bytes in a pipe, for one in a terminal.
        stream.most_written_ = S_ISFIFO(info.st_mode) ? PIPE_BUF : 1;
    }
    return stream;
}

ssize_t StreamFd::read(std::span<uint8_t> bytes) const {
    if (mode_ == Mode::socket) {
        return retry_interrupted(
            [&] { return ::recv(handle(), bytes.data(), bytes.size(), MSG_DONTWAIT); });
    }
    if (mode_ == Mode::ask_first && !is_ready(POLLIN)) return -1;
    return retry_interrupted([&] { return ::read(handle(), bytes.data(), bytes.size()); });
}

ssize_t StreamFd::write(std::span<const uint8_t> bytes) const {
    if (mode_ == Mode::socket) {
        return retry_interrupted([&] {
            return ::send(handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        });
    }
    if (mode_ == Mode::ask_first) {
        if (!is_ready(POLLOUT)) return -1;
        bytes = bytes.first(std::min(bytes.size(), most_written_));
    }
    return retry_interrupted([&] { return ::write(handle(), bytes.data(), bytes.size()); });
}

// The end of a stream and errors count as ready: the access itself reports them.
bool StreamFd::is_ready(short events) const {
    pollfd asked{handle(), events, 0};
    if (::poll(&asked, 1, 0) > 0) return true;
    errno = EAGAIN;
    return false;
}

}  // namespace banyan
