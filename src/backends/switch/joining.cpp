#include "backends/switch/joining.hpp"

#include <cstring>
#include <sys/socket.h>

#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"
#include "host/posix/unix_connector.hpp"

namespace banyan {

namespace {

constexpr std::string_view kRestart = "start it with banyan network start";

tl::unexpected<Error> not_running(const std::string& path, int error_number) {
    return fail(ErrorCode::not_found, "join the network at " + quote_name(path) + ": " +
                                          errno_text(error_number) + "; " + std::string(kRestart));
}

}  // namespace

Result<UniqueFd> ask_switch(const std::string& path, const PortHello& hello) {
    if (path.size() > UnixAddress::kLongestPath)
        return fail(ErrorCode::invalid_argument,
                    "join the network at " + quote_name(path) + ": the path is too long");
    UniqueFd socket = connect_unix(path, SOCK_SEQPACKET | SOCK_NONBLOCK);
    if (!socket.valid() && (errno == EMFILE || errno == ENFILE))
        return host_fail(errno, "join the network", "raise the limit of open files (ulimit -n)");
    if (!socket.valid()) return not_running(path, errno);
    TRY(send_with_handles(socket.get(), encode(hello), nullptr));
    return socket;
}

Result<std::unique_ptr<PortChannel>> take_welcome(int socket) {
    WelcomeBytes bytes;
    TRY_ASSIGN(received, receive_with_handles(socket, bytes));
    if (received.again) return nullptr;
    if (received.size == 0)
        return fail(ErrorCode::io, "join the network: it ended; " + std::string(kRestart));
    TRY_ASSIGN(welcome, decode_welcome(std::span(bytes).first(received.size)));
    if (!welcome.refusal.empty()) return fail(ErrorCode::busy, welcome.refusal);
    return PortChannel::open(std::move(received.handles), welcome.ring_size,
                             PortChannel::Side::of_member);
}

}  // namespace banyan
