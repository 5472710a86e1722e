#include "vmm/networks.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

#include "backends/net/capture.hpp"
#include "backends/net/nat.hpp"
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

Result<Network> open_plain(const VmConfig& config, size_t index, Poller& poller) {
    const NetChoice& choice = config.nets[index];
    switch (choice.kind) {
        case NetKind::nat: {
            // What runs in a sandbox loads no programs.
            if (config.sandbox != SandboxMode::off) Nat::load_library();
            TRY_ASSIGN(nat, Nat::create({.host_name = host_name_of(config.name),
                                         .host_loopback = choice.host_loopback,
                                         .published = choice.published}));
            return Network{std::move(nat), kNatMtu};
        }
        case NetKind::tap: {
            TRY_ASSIGN(tap, Tap::create(choice.name));
            return Network{.backend = std::move(tap)};
        }
        case NetKind::network_switch: break;
    }
    TRY_ASSIGN(port, SwitchPort::create(poller, {.socket = choice.socket,
                                                 .hello = {.name = host_name_of(config.name),
                                                           .mac = {mac_address(config, index)}}}));
    return Network{.backend = std::move(port)};
}

}  // namespace

Result<Network> open_network(const VmConfig& config, size_t index, Poller& poller) {
    const NetChoice& choice = config.nets[index];
    TRY_ASSIGN(network, open_plain(config, index, poller));
    if (choice.capture.empty()) return network;
    TRY_ASSIGN(capture, Capture::create(choice.capture, std::move(network.backend)));
    return Network{std::move(capture), network.mtu};
}

// IEEE 802-2014, section 8.4: administered locally, of one station.
std::array<uint8_t, 6> mac_address(const VmConfig& config, size_t index) {
    if (config.nets[index].mac) return *config.nets[index].mac;
    const auto uuid = machine_uuid(fmt::format("{}/net{}", config.name, index));
    std::array<uint8_t, 6> mac{};
    std::copy_n(uuid.begin(), mac.size(), mac.begin());
    mac[0] = static_cast<uint8_t>((mac[0] & 0xFC) | 2);
    return mac;
}

}  // namespace banyan
