#include "host/linux/socket_connection.hpp"

#include <array>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace banyan {

SocketConnection::~SocketConnection() {
    poller_.unwatch(fd_.get());
}

Result<void> SocketConnection::start() {
    // Packets are small and wait for each other. On a Unix socket it fails, and is not needed.
    const int yes = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    return poller_.watch(fd_.get(), {.readable = true}, *this);
}

void SocketConnection::on_ready(Readiness ready) {
    if (ready.writable) write_kept();
    if (ready.readable) receive();
}

void SocketConnection::receive() {
    std::array<char, 4096> buffer;
    const ssize_t count =
        retry_interrupted([&] { return ::recv(fd_.get(), buffer.data(), buffer.size(), 0); });
    if (count > 0) {
        // From who is being let go nothing more is taken.
        if (!ending_) owner_.on_received(*this, {buffer.data(), static_cast<size_t>(count)});
    } else if (count == 0 || errno != EAGAIN) {
        owner_.on_gone(*this);
    }
}

void SocketConnection::send(std::string_view bytes) {
    if (ending_) return;
    kept_ += bytes;
    write_kept();
    // Reading finds the end of it.
    if (kept_.size() > kMostKept) ::shutdown(fd_.get(), SHUT_RDWR);
}

void SocketConnection::set_reading(bool wanted) {
    if (reading_ == wanted) return;
    reading_ = wanted;
    update_interest();
}

void SocketConnection::end() {
    ending_ = true;
    reading_ = true;
    write_kept();
}

void SocketConnection::write_kept() {
    while (!kept_.empty()) {
        const ssize_t count = retry_interrupted(
            [&] { return ::send(fd_.get(), kept_.data(), kept_.size(), MSG_NOSIGNAL); });
        if (count < 0) {
            if (errno != EAGAIN) kept_.clear();  // it is gone: reading finds out
            break;
        }
        kept_.erase(0, static_cast<size_t>(count));
    }
    if (ending_ && kept_.empty()) ::shutdown(fd_.get(), SHUT_RDWR);
    update_interest();
}

void SocketConnection::update_interest() {
    poller_.set_interest(fd_.get(), {.readable = reading_, .writable = !kept_.empty()});
}

}  // namespace banyan
