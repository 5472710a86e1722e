#include "backends/vsock/vsock_socket.hpp"

#include <cerrno>
#include <charconv>
#include <string_view>
#include <sys/socket.h>

#include "backends/vsock/vsock_sockets.hpp"

namespace banyan {

using State = VsockStream::State;

namespace {

constexpr std::string_view kConnect = "CONNECT ";
constexpr size_t kLongestGreeting = 32;

VsockStream::Moved moved(ssize_t result, size_t wanted) {
    if (result < 0) return {0, errno == EAGAIN ? State::waiting : State::ended};
    const auto bytes = static_cast<size_t>(result);
    return {bytes, bytes == wanted ? State::open : State::waiting};
}

}  // namespace

std::optional<uint32_t> parse_vsock_greeting(std::string_view line) {
    if (!line.starts_with(kConnect)) return std::nullopt;
    line.remove_prefix(kConnect.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
    uint32_t port = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), port);
    if (error != std::errc() || end != line.data() + line.size() || port == UINT32_MAX)
        return std::nullopt;
    return port;
}

Result<void> VsockSocket::watch_first() {
    return poller_.watch(fd_.get(), {.readable = stage_ == Stage::greeting}, *this);
}

void VsockSocket::unwatch() {
    poller_.unwatch(fd_.get());
}

VsockStream::Moved VsockSocket::read(std::span<std::byte> to) const {
    const ssize_t result =
        retry_interrupted([&] { return ::recv(fd_.get(), to.data(), to.size(), MSG_DONTWAIT); });
    if (result == 0 && !to.empty()) return {0, State::ended};
    return moved(result, to.size());
}

VsockStream::Moved VsockSocket::write(std::span<const std::byte> from) const {
    return moved(retry_interrupted([&] {
                     return ::send(fd_.get(), from.data(), from.size(),
                                   MSG_DONTWAIT | MSG_NOSIGNAL);
                 }),
                 from.size());
}

void VsockSocket::end_writing() const {
    ::shutdown(fd_.get(), SHUT_WR);
}

// A socket that nothing was written to has room for so little.
void VsockSocket::accepted(uint32_t host_port) const {
    const std::string answer = "OK " + std::to_string(host_port) + "\n";
    (void)write(std::as_bytes(std::span(answer)));
}

void VsockSocket::watch(uint32_t cookie, Readiness interest) {
    cookie_ = cookie;
    if (interest.readable == interest_.readable && interest.writable == interest_.writable) return;
    interest_ = interest;
    poller_.set_interest(fd_.get(), interest);
}

void VsockSocket::on_ready(Readiness ready) {
    if (let_go_) return;
    if (stage_ == Stage::greeting) return read_greeting();
    owner_.tell_ready(cookie_, ready);
}

// Byte by byte: what comes behind the line is the guest's.
void VsockSocket::read_greeting() {
    while (greeting_.size() < kLongestGreeting) {
        std::byte byte{};
        const VsockStream::Moved got = read({&byte, 1});
        if (got.bytes == 0 && got.state == State::waiting) return;
        if (got.bytes == 0) break;
        if (byte != std::byte{'\n'}) {
            greeting_.push_back(static_cast<char>(byte));
            continue;
        }
        const auto port = parse_vsock_greeting(greeting_);
        if (!port) break;
        stage_ = Stage::stream;
        poller_.set_interest(fd_.get(), {});
        return owner_.greeted(shared_from_this(), *port);
    }
    owner_.give_up(this);
}

}  // namespace banyan
