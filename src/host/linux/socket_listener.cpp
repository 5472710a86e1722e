#include "host/linux/socket_listener.hpp"

#include <array>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"

namespace banyan {

namespace {

constexpr int kBacklog = 16;
constexpr int kStream = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

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

Result<SocketListener> listen_to(UniqueFd fd, const sockaddr* address, socklen_t size,
                                 std::string_view what) {
    if (!fd.valid() || ::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), kBacklog) != 0)
        return host_fail(errno, what, "give another address, or end what uses it");
    return SocketListener{std::move(fd), {}};
}

Result<SocketListener> listen_by_network(const SocketAddress& address) {
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

// Nobody listens there any more: its process was killed.
bool is_left_over(const UnixAddress& name) {
    const UniqueFd probe(::socket(AF_UNIX, kStream, 0));
    struct stat found {};
    if (::stat(name.path(), &found) != 0 || !S_ISSOCK(found.st_mode)) return false;
    return ::connect(probe.get(), name.get(), name.size()) != 0 && errno == ECONNREFUSED;
}

// Others who may use the machine may not use the socket.
Result<SocketListener> listen_by_path(const SocketAddress& address) {
    const UnixAddress name(address.path);
    if (!name.valid()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("listen at {}: the name is too long for a socket; give a shorter "
                                "one",
                                quote_name(address.path)));
    }
    if (is_left_over(name)) ::unlink(name.path());
    UniqueFd fd(::socket(AF_UNIX, kStream, 0));
    if (fd.valid()) ::fchmod(fd.get(), 0600);
    TRY_ASSIGN(listener, listen_to(std::move(fd), name.get(), name.size(),
                                   fmt::format("listen at {}", quote_name(address.path))));
    listener.place = address.path;
    return listener;
}

}  // namespace

Result<SocketListener> listen_at(const SocketAddress& address) {
    return address.path.empty() ? listen_by_network(address) : listen_by_path(address);
}

UniqueFd accept_from(const SocketListener& listener) {
    return UniqueFd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

}  // namespace banyan
