#include "app/cli/net_options.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>

#include "app/cli/values.hpp"
#include "host/posix/host_error.hpp"
#include "network/packets/addresses.hpp"

namespace banyan {

namespace {

constexpr std::string_view kUdpEnding = "/udp";
constexpr std::string_view kTcpEnding = "/tcp";

tl::unexpected<Error> wrong_value(std::string_view option, std::string_view text,
                                  std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} {}: {}", option, quote_name(text), why));
}

// "nat", "switch=NAME" or "tap=IFACE".
Result<NetChoice> parse_kind(const std::string& text) {
    constexpr std::string_view kSwitch = "switch=";
    constexpr std::string_view kTap = "tap=";
    if (text == "nat") return NetChoice{};
    if (text.starts_with(kSwitch) && text.size() > kSwitch.size())
        return NetChoice{.kind = NetKind::network_switch, .name = text.substr(kSwitch.size())};
    if (text.starts_with(kTap) && text.size() > kTap.size())
        return NetChoice{.kind = NetKind::tap, .name = text.substr(kTap.size())};
    return not_one_of("--net", text, {"none", "nat", "switch=NAME", "tap=IFACE"});
}

Result<NetChoice> parse_net(const std::string& text) {
    TRY_ASSIGN(parts, parse_settings("--net", text));
    TRY_ASSIGN(net, parse_kind(parts.file));
    for (const auto& [key, value] : parts.settings) {
        if (key == "mac") {
            const auto mac = parse_mac(value);
            if (!mac) {
                return wrong_value("--net mac", value,
                                   "not an address; give one as 02:00:00:00:00:01");
            }
            net.mac = mac->bytes;
        } else if (key == "model") {
            TRY_ASSIGN(model, parse_choice<NetModel>(
                                  "--net model", value,
                                  {{"virtio", NetModel::virtio}, {"e1000e", NetModel::e1000e}}));
            net.model = model;
        } else if (key == "capture") {
            if (value.empty())
                return wrong_value("--net capture", value, "no file is named; give one");
            net.capture = value;
        } else if (key == "host-loopback" && net.kind == NetKind::nat) {
            TRY_ASSIGN(on, parse_switch("--net host-loopback", value));
            net.host_loopback = on;
        } else if (key == "rate") {
            return wrong_value("--net rate", value, "it is not supported yet; leave it out");
        } else {
            return not_one_of("--net", key, {"mac", "model", "capture", "host-loopback (of nat)"});
        }
    }
    return net;
}

Result<uint16_t> parse_port(std::string_view option, std::string_view text) {
    TRY_ASSIGN(port, parse_number(option, text, 65535));
    if (port == 0) return wrong_value(option, text, "no port; give one from 1 to 65535");
    return static_cast<uint16_t>(port);
}

// Without an address only the host itself reaches the guest.
Result<PublishedPort> parse_published(const std::string& text) {
    std::string_view rest = text;
    PublishedPort port{.host_address = INADDR_LOOPBACK};
    port.udp = rest.ends_with(kUdpEnding);
    if (port.udp || rest.ends_with(kTcpEnding)) rest.remove_suffix(kUdpEnding.size());
    const size_t last = rest.rfind(':');
    if (last == std::string_view::npos) {
        return wrong_value("--publish", text,
                           "not of the form [ADDR:]HOSTPORT:GUESTPORT[/udp]; give it so");
    }
    TRY_ASSIGN(guest, parse_port("--publish GUESTPORT", rest.substr(last + 1)));
    port.guest_port = guest;
    rest = rest.substr(0, last);
    if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
        in_addr address{};
        if (::inet_pton(AF_INET, std::string(rest.substr(0, colon)).c_str(), &address) != 1) {
            return wrong_value("--publish", text,
                               "ADDR is not an IPv4 address; give one of the host's, or 0.0.0.0");
        }
        port.host_address = ntohl(address.s_addr);
        rest = rest.substr(colon + 1);
    }
    TRY_ASSIGN(host, parse_port("--publish HOSTPORT", rest));
    port.host_port = host;
    return port;
}

Result<void> publish(const std::vector<std::string>& texts, std::vector<NetChoice>& nets) {
    if (texts.empty()) return {};
    const auto nat = std::find_if(nets.begin(), nets.end(),
                                  [](const NetChoice& net) { return net.kind == NetKind::nat; });
    if (nat == nets.end()) {
        return fail(ErrorCode::invalid_argument,
                    "--publish: no network is a NAT, where ports are published; add --net nat");
    }
    for (const std::string& text : texts) {
        TRY_ASSIGN(port, parse_published(text));
        nat->published.push_back(port);
    }
    return {};
}

}  // namespace

Result<std::vector<NetChoice>> parse_nets(const std::vector<std::string>& texts,
                                          const std::vector<std::string>& published) {
    std::vector<NetChoice> nets;
    if (texts.empty()) nets.emplace_back();
    for (const std::string& text : texts) {
        if (text == "none") {
            if (texts.size() == 1) break;
            return fail(ErrorCode::invalid_argument,
                        "--net none: others are given beside it; leave it or them out");
        }
        TRY_ASSIGN(net, parse_net(text));
        nets.push_back(std::move(net));
    }
    TRY(publish(published, nets));
    return nets;
}

}  // namespace banyan
