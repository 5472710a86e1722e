// Where streams come in: a socket that listens.
#pragma once

#include <string>

#include "host/linux/socket_address.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

struct SocketListener {
    UniqueFd fd;
    std::string place;  // where a client finds it: "127.0.0.1:1234" or a path
};

// Of a Unix socket only its user may make use. Whoever listens at a path removes it at the end.
Result<SocketListener> listen_at(const SocketAddress& address);

// The next client, or nothing.
UniqueFd accept_from(const SocketListener& listener);

}  // namespace banyan
