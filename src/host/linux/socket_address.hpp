// SocketAddress: where a service listens, as users write it.
#pragma once

#include <string>
#include <string_view>

#include "support/result.hpp"

namespace banyan {

// `path` for a Unix socket, else host and port.
struct SocketAddress {
    std::string path;
    std::string host;
    std::string port;

    friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};

// "HOST:PORT", "[IPV6]:PORT", ":PORT" and "PORT" (of this machine only), or "unix:PATH". Nothing is
// looked up.
Result<SocketAddress> parse_socket_address(std::string_view text);

}  // namespace banyan
