#include "host/posix/unix_connector.hpp"

#include <atomic>
#include <cerrno>

#include "host/posix/unix_address.hpp"

namespace banyan {

namespace {

std::atomic<UnixConnector> g_connector{connect_unix_directly};

}  // namespace

UniqueFd connect_unix(const std::string& path, int type) {
    return g_connector.load(std::memory_order_acquire)(path, type);
}

void set_unix_connector(UnixConnector connector) {
    g_connector.store(connector, std::memory_order_release);
}

UniqueFd connect_unix_directly(const std::string& path, int type) {
    const UnixAddress address(path);
    errno = ENAMETOOLONG;
    if (!address.valid()) return {};
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return {};
    const int connected =
        retry_interrupted([&] { return ::connect(fd.get(), address.get(), UnixAddress::size()); });
    if (connected == 0) return fd;
    const int why = errno;
    fd.reset();
    errno = why;
    return {};
}

}  // namespace banyan
