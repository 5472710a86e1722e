#include "host/linux/socket_server.hpp"

#include <array>
#include <cstring>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr int kBacklog = 4;
constexpr int kStream = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

struct Listener {
    UniqueFd fd;
    std::string place;
};

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<AddressList> look_up(const SocketAddress& address) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
    if (error == 0) return AddressList(found, ::freeaddrinfo);
    return fail(ErrorCode::not_found,
                fmt::format("listen at {}: {}; give an address of this machine",
                            quote_name(address.host), ::gai_strerror(error)));
}

// The address that was bound: with the port that the host chose, if it had to.
Result<std::string> name_of(int fd) {
    sockaddr_storage bound{};
    socklen_t size = sizeof(bound);
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    auto* as_any = reinterpret_cast<sockaddr*>(&bound);  // SAFETY: as the socket interface wants it
    if (::getsockname(fd, as_any, &size) != 0 ||
        ::getnameinfo(as_any, size, host.data(), host.size(), port.data(), port.size(),
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return host_fail(errno, "find out the own address", "try another one");
    const bool v6 = bound.ss_family == AF_INET6;
    return fmt::format("{}{}{}:{}", v6 ? "[" : "", host.data(), v6 ? "]" : "", port.data());
}

Result<Listener> listen_to(UniqueFd fd, const sockaddr* address, socklen_t size,
                           std::string_view what) {
    if (!fd.valid() || ::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), kBacklog) != 0)
        return host_fail(errno, what, "give another address, or end what uses it");
    return Listener{std::move(fd), {}};
}

Result<Listener> listen_by_network(const SocketAddress& address) {
    TRY_ASSIGN(found, look_up(address));
    UniqueFd fd(::socket(found->ai_family, kStream, 0));
    const int yes = 1;
    if (fd.valid()) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    TRY_ASSIGN(listener, listen_to(std::move(fd), found->ai_addr, found->ai_addrlen,
                                   fmt::format("listen at {}:{}", address.host, address.port)));
    TRY_ASSIGN(name, name_of(listener.fd.get()));
    listener.place = std::move(name);
    return listener;
}

// Others who may use the machine may not use the socket.
Result<Listener> listen_by_path(const SocketAddress& address) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.path.data(), address.path.size());
    UniqueFd fd(::socket(AF_UNIX, kStream, 0));
    if (fd.valid()) ::fchmod(fd.get(), 0600);
    TRY_ASSIGN(listener,
               listen_to(std::move(fd), reinterpret_cast<const sockaddr*>(&name), sizeof(name),
                         fmt::format("listen at {}", quote_name(address.path))));
    listener.place = address.path;
    return listener;
}

}  // namespace

Result<std::unique_ptr<SocketServer>> SocketServer::listen(Poller& poller,
                                                           const SocketAddress& address,
                                                           Events events) {
    TRY_ASSIGN(listener,
               address.path.empty() ? listen_by_network(address) : listen_by_path(address));
    auto server = std::unique_ptr<SocketServer>(
        new SocketServer(poller, std::move(listener.fd), std::move(events)));
    server->place_ = std::move(listener.place);
    server->path_ = address.path;
    TRY(poller.watch(server->listener_.get(), {.readable = true}, *server));
    return server;
}

SocketServer::~SocketServer() {
    poller_.unwatch(listener_.get());
    let_go();
    if (!path_.empty()) ::unlink(path_.c_str());
}

void SocketServer::on_ready(Readiness) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid() || client_.valid()) return;
    // Packets are small and wait for each other. On a Unix socket it fails, and is not needed.
    const int yes = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (!poller_.watch(fd.get(), {.readable = true}, client_watch_)) return;
    client_ = std::move(fd);
    events_.connected();
}

void SocketServer::serve(Readiness ready) {
    if (ready.writable) write_kept();
    if (ready.readable && client_.valid()) receive();
}

void SocketServer::receive() {
    std::array<char, 4096> buffer;
    const ssize_t count =
        retry_interrupted([&] { return ::recv(client_.get(), buffer.data(), buffer.size(), 0); });
    if (count > 0) {
        events_.received({buffer.data(), static_cast<size_t>(count)});
    } else if (count == 0 || errno != EAGAIN) {
        let_go();
        events_.disconnected();
    }
}

void SocketServer::send(std::string_view bytes) {
    if (!client_.valid()) return;
    kept_ += bytes;
    write_kept();
    // Reading finds the end of it.
    if (kept_.size() > kMostKept) ::shutdown(client_.get(), SHUT_RDWR);
}

void SocketServer::write_kept() {
    while (!kept_.empty()) {
        const ssize_t count = retry_interrupted(
            [&] { return ::send(client_.get(), kept_.data(), kept_.size(), MSG_NOSIGNAL); });
        if (count < 0) {
            if (errno != EAGAIN) kept_.clear();  // it is gone: reading finds out
            break;
        }
        kept_.erase(0, static_cast<size_t>(count));
    }
    poller_.set_interest(client_.get(), {.readable = true, .writable = !kept_.empty()});
}

void SocketServer::let_go() {
    if (!client_.valid()) return;
    poller_.unwatch(client_.get());
    client_.reset();
    kept_.clear();
}

}  // namespace banyan
