#include "host/linux/socket_address.hpp"

#include <charconv>
#include <fmt/format.h>
#include <sys/un.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

// Who asks for no address wants no strangers.
constexpr std::string_view kThisMachine = "127.0.0.1";

tl::unexpected<Error> not_an_address(std::string_view text, std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {}; give HOST:PORT, such as 127.0.0.1:1234, or unix:PATH",
                            quote_name(text), why));
}

bool is_port(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && value <= 0xFFFF;
}

bool is_bracketed(std::string_view host) {
    return host.size() > 2 && host.front() == '[' && host.back() == ']';
}

}  // namespace

Result<SocketAddress> parse_socket_address(std::string_view text) {
    constexpr std::string_view kUnix = "unix:";
    if (text.starts_with(kUnix)) {
        const std::string_view path = text.substr(kUnix.size());
        if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path))
            return not_an_address(text, "its path is empty or too long");
        return SocketAddress{.path = std::string(path), .host = {}, .port = {}};
    }
    const size_t colon = text.rfind(':');
    const bool only_port = colon == std::string_view::npos;
    std::string_view host = only_port ? std::string_view{} : text.substr(0, colon);
    const std::string_view port = only_port ? text : text.substr(colon + 1);
    if (!is_port(port)) return not_an_address(text, "it has no port from 0 to 65535");
    if (is_bracketed(host)) {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return not_an_address(text, "its host has a colon and no brackets");
    }
    return SocketAddress{.path = {},
                         .host = std::string(host.empty() ? kThisMachine : host),
                         .port = std::string(port)};
}

}  // namespace banyan
