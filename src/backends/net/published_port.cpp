#include "backends/net/published_port.hpp"

#include <charconv>
#include <fmt/format.h>

#include "host/posix/host_error.hpp"
#include "network/packets/addresses.hpp"

namespace banyan {

namespace {

constexpr std::string_view kUdpEnding = "/udp";
constexpr std::string_view kTcpEnding = "/tcp";
constexpr uint32_t kLoopback = 0x7F000001;

tl::unexpected<Error> wrong_port(std::string_view option, std::string_view text,
                                 std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} {}: {}", option, quote_name(text), why));
}

// 0: it is none.
uint16_t port_number(std::string_view text) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() ? port : uint16_t{0};
}

}  // namespace

Result<PublishedPort> parse_published_port(std::string_view option, std::string_view text) {
    std::string_view rest = text;
    PublishedPort port{.host_address = kLoopback};
    port.udp = rest.ends_with(kUdpEnding);
    if (port.udp || rest.ends_with(kTcpEnding)) rest.remove_suffix(kUdpEnding.size());
    const size_t last = rest.rfind(':');
    if (last == std::string_view::npos) {
        return wrong_port(option, text,
                          "not of the form [ADDR:]HOSTPORT:GUESTPORT[/udp]; give it so");
    }
    port.guest_port = port_number(rest.substr(last + 1));
    rest = rest.substr(0, last);
    if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
        const auto address = parse_ipv4(rest.substr(0, colon));
        if (!address) {
            return wrong_port(option, text,
                              "ADDR is not an IPv4 address; give one of the host's, or 0.0.0.0");
        }
        port.host_address = address->value;
        rest = rest.substr(colon + 1);
    }
    port.host_port = port_number(rest);
    if (port.host_port == 0 || port.guest_port == 0)
        return wrong_port(option, text, "HOSTPORT and GUESTPORT are numbers from 1 to 65535");
    return port;
}

std::string to_text(const PublishedPort& port) {
    return fmt::format("{}:{}:{}{}", to_text(Ipv4Address{port.host_address}), port.host_port,
                       port.guest_port, port.udp ? kUdpEnding : std::string_view());
}

}  // namespace banyan
