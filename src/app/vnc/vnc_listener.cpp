#include "app/vnc/vnc_listener.hpp"

#include <array>
#include <fmt/format.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr int kVncBacklog = 8;

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<AddressList> find_address(const std::string& host, uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (error == 0) return AddressList(found, ::freeaddrinfo);
    return fail(ErrorCode::not_found,
                fmt::format("--display vnc: {}: {}; give an address of this machine",
                            quote_name(host), ::gai_strerror(error)));
}

Result<uint16_t> port_of(int fd) {
    sockaddr_storage bound{};
    socklen_t size = sizeof(bound);
    std::array<char, NI_MAXSERV> port{};
    auto* as_any = reinterpret_cast<sockaddr*>(&bound);  // SAFETY: as the socket interface wants it
    if (::getsockname(fd, as_any, &size) != 0 ||
        ::getnameinfo(as_any, size, nullptr, 0, port.data(), port.size(), NI_NUMERICSERV) != 0)
        return host_fail(errno, "find out the own port", "try another one");
    return static_cast<uint16_t>(std::stoul(port.data()));
}

}  // namespace

Result<VncListener> listen_for_vnc(const std::string& host, uint16_t first, uint16_t last) {
    for (uint32_t port = first; port <= last; ++port) {
        TRY_ASSIGN(address, find_address(host, static_cast<uint16_t>(port)));
        UniqueFd fd(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const int yes = 1;
        if (fd.valid()) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (fd.valid() && ::bind(fd.get(), address->ai_addr, address->ai_addrlen) == 0 &&
            ::listen(fd.get(), kVncBacklog) == 0) {
            TRY_ASSIGN(bound, port_of(fd.get()));
            const bool v6 = address->ai_family == AF_INET6;
            return VncListener{std::move(fd),
                               fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", bound)};
        }
        if (errno == EADDRINUSE && port != last) continue;
        return host_fail(errno, fmt::format("--display vnc: listen at {}:{}", host, port),
                         "give another address, or end what uses it");
    }
    return fail(ErrorCode::invalid_argument, "--display vnc: there is no such port; give another");
}

}  // namespace banyan
