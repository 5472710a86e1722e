// Connecting to Unix sockets: by this process, or, where it may not make sockets any more
// (host/sandbox), by another one.
#pragma once

#include <string>

#include "host/posix/unique_fd.hpp"

namespace banyan {

// A socket of `type` (SOCK_STREAM and the like, which may have SOCK_NONBLOCK) that is connected to
// `path`; closed on exec. Not valid: errno says why. Never waits for who listens there, if the type
// has SOCK_NONBLOCK. From any thread.
UniqueFd connect_unix(const std::string& path, int type);

// Who does it instead, for good. Of the same contract.
using UnixConnector = UniqueFd (*)(const std::string& path, int type);
void set_unix_connector(UnixConnector connector);

// By this process, whoever does it else.
UniqueFd connect_unix_directly(const std::string& path, int type);

}  // namespace banyan
