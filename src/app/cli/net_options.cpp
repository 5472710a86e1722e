#include "app/cli/net_options.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "app/cli/values.hpp"
#include "host/posix/host_error.hpp"
#include "network/packets/addresses.hpp"

namespace banyan {

namespace {

tl::unexpected<Error> wrong_value(std::string_view option, std::string_view text,
                                  std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} {}: {}", option, quote_name(text), why));
}

bool is_nat(const NetChoice& net) {
    return net.kind == NetKind::nat || net.kind == NetKind::passt;
}

// "nat", "passt", "switch=NAME" or "tap=IFACE".
Result<NetChoice> parse_kind(const std::string& text) {
    constexpr std::string_view kSwitch = "switch=";
    constexpr std::string_view kTap = "tap=";
    if (text == "nat") return NetChoice{};
    if (text == "passt") return NetChoice{.kind = NetKind::passt, .name = {}};
    if (text.starts_with(kSwitch) && text.size() > kSwitch.size())
        return NetChoice{.kind = NetKind::network_switch, .name = text.substr(kSwitch.size())};
    if (text.starts_with(kTap) && text.size() > kTap.size())
        return NetChoice{.kind = NetKind::tap, .name = text.substr(kTap.size())};
    return not_one_of("--net", text, {"none", "nat", "passt", "switch=NAME", "tap=IFACE"});
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
        } else if (key == "queues") {
            TRY_ASSIGN(queues, parse_number("--net queues", value, kMostNetQueues));
            if (queues == 0) return wrong_value("--net queues", value, "give one at least");
            net.queue_pairs = static_cast<unsigned>(queues);
        } else if (key == "capture") {
            if (value.empty())
                return wrong_value("--net capture", value, "no file is named; give one");
            net.capture = value;
        } else if (key == "host-loopback" && is_nat(net)) {
            TRY_ASSIGN(on, parse_switch("--net host-loopback", value));
            net.host_loopback = on;
        } else if (key == "rate") {
            TRY_ASSIGN(rate, parse_net_rate("--net rate", value));
            net.bytes_per_second = rate;
        } else {
            return not_one_of(
                "--net", key,
                {"mac", "model", "queues", "rate", "capture", "host-loopback (of nat)"});
        }
    }
    if (net.queue_pairs > 1 && net.model != NetModel::virtio) {
        return wrong_value("--net queues", std::to_string(net.queue_pairs),
                           "the model has one; leave it or model= out");
    }
    return net;
}

Result<void> publish(const std::vector<std::string>& texts, std::vector<NetChoice>& nets) {
    if (texts.empty()) return {};
    const auto nat = std::find_if(nets.begin(), nets.end(), is_nat);
    if (nat == nets.end()) {
        return fail(ErrorCode::invalid_argument,
                    "--publish: no network is a NAT, where ports are published; add --net nat");
    }
    for (const std::string& text : texts) {
        TRY_ASSIGN(port, parse_published_port("--publish", text));
        nat->published.push_back(port);
    }
    return {};
}

// tc's units of bits, which are decimal.
struct BitUnit {
    std::string_view ending;
    uint64_t bits;
};
constexpr std::array<BitUnit, 4> kBitUnits{
    {{"gbit", 1'000'000'000}, {"mbit", 1'000'000}, {"kbit", 1000}, {"bit", 1}}};

}  // namespace

Result<uint64_t> parse_net_rate(std::string_view option, std::string_view text) {
    const auto unit = std::find_if(kBitUnits.begin(), kBitUnits.end(),
                                   [&](const BitUnit& one) { return text.ends_with(one.ending); });
    uint64_t rate = 0;
    if (unit != kBitUnits.end()) {
        const std::string_view digits = text.substr(0, text.size() - unit->ending.size());
        TRY_ASSIGN(count, parse_number(option, digits, kMostNetRate));
        rate = count > kMostNetRate * 8 / unit->bits ? kMostNetRate + 1 : count * unit->bits / 8;
    } else {
        TRY_ASSIGN(bytes, parse_size(option, text));
        rate = bytes;
    }
    if (rate >= kLeastNetRate && rate <= kMostNetRate) return rate;
    return wrong_value(option, text,
                       "not from 1000 bytes to 1T a second; give a size such as 10M, or bits "
                       "such as 100mbit");
}

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
