// UnixAddress: the path of a Unix socket, as the socket interface wants it.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

#include "host/posix/unique_fd.hpp"

namespace banyan {

class UnixAddress {
public:
    static constexpr size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;

    explicit UnixAddress(std::string_view path)
        : valid_(!path.empty() && path.size() <= kLongestPath) {
        name_.sun_family = AF_UNIX;
        if (valid_) std::memcpy(name_.sun_path, path.data(), path.size());
    }

    // False: no socket has such a path, and the others must not be called.
    bool valid() const { return valid_; }
    // SAFETY: what the interface takes begins as all addresses do.
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name_); }
    static constexpr socklen_t size() { return sizeof(sockaddr_un); }
    const char* path() const { return name_.sun_path; }

private:
    sockaddr_un name_{};
    bool valid_;
};

}  // namespace banyan
