#include "vmm/networks.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

#include "backends/net/nat.hpp"
#include "backends/net/passt.hpp"
#include "backends/net/tap.hpp"
#include "backends/switch/switch_port.hpp"
#include "vmm/machine_uuid.hpp"

namespace banyan {

namespace {

// RFC 1123, section 2.1: letters, digits and hyphens, at most 63 of them.
std::string host_name_of(const std::string& name) {
    std::string host;
    for (const char c : name.substr(0, 63))
        host += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
    return host;
}

Result<Network> open_plain(const std::string& vm, const NetChoice& choice,
                           const std::array<uint8_t, 6>& mac, Poller& poller) {
    switch (choice.kind) {
        case NetKind::nat: {
            TRY_ASSIGN(nat, Nat::create({.host_name = host_name_of(vm),
                                         .host_loopback = choice.host_loopback},
                                        choice.published));
            PortPublisher* const ports = nat.get();
            return Network{std::move(nat), kNatMtu, ports};
        }
        case NetKind::passt: {
            TRY_ASSIGN(passt, Passt::create({.host_loopback = choice.host_loopback,
                                             .published = choice.published}));
            return Network{std::move(passt), kNatMtu};
        }
        case NetKind::tap: {
            TRY_ASSIGN(tap, Tap::create(choice.name));
            return Network{.backend = std::move(tap)};
        }
        case NetKind::network_switch: break;
    }
    TRY_ASSIGN(port,
               SwitchPort::create(poller, {.socket = choice.socket,
                                           .hello = {.name = host_name_of(vm), .mac = {mac}}}));
    return Network{.backend = std::move(port)};
}

}  // namespace

Result<Network> open_network(const std::string& vm, const NetChoice& choice,
                             const std::array<uint8_t, 6>& mac, Poller& poller) {
    TRY_ASSIGN(network, open_plain(vm, choice, mac, poller));
    TRY_ASSIGN(limit,
               RateLimit::create(poller, choice.bytes_per_second, std::move(network.backend)));
    network.limit = limit.get();
    auto capture = std::make_unique<Capture>(std::move(limit));
    network.capture = capture.get();
    if (!choice.capture.empty()) TRY(capture->record_to(choice.capture));
    network.backend = std::move(capture);
    return network;
}

// IEEE 802-2014, section 8.4: administered locally, of one station.
std::array<uint8_t, 6> mac_address(const std::string& vm, const NetChoice& choice,
                                   const std::string& card) {
    if (choice.mac) return *choice.mac;
    const auto uuid = machine_uuid(fmt::format("{}/{}", vm, card));
    std::array<uint8_t, 6> mac{};
    std::copy_n(uuid.begin(), mac.size(), mac.begin());
    mac[0] = static_cast<uint8_t>((mac[0] & 0xFC) | 2);
    return mac;
}

std::string name_of_card(size_t index) {
    return fmt::format("net{}", index);
}

}  // namespace banyan
