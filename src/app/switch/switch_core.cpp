#include "app/switch/switch_core.hpp"

#include <algorithm>
#include <chrono>

#include "network/packets/frame_bytes.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

constexpr size_t kMostForServices = 256;  // in one batch
constexpr size_t kLargestForServices = 1600;
constexpr std::string_view kServicesName = "services";
constexpr uint32_t kUplinkHost = 2;
constexpr uint32_t kUplinkDnsHost = 3;

uint64_t monotonic_ns() {
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// Leases outlive the process: by the calendar.
uint64_t calendar_s() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count());
}

ServicesConfig services_config(const NetworkDefinition& network) {
    ServicesConfig config{.network = network.name,
                          .mac = SwitchCore::own_mac(network, NetworkServices::kOwnHost),
                          .subnet = network.subnet};
    if (network.nat) {
        config.router = network.subnet.host(kUplinkHost);
        config.other_dns = network.subnet.host(kUplinkDnsHost);
    }
    return config;
}

}  // namespace

// Locally administered (802.3, 3.2.3), with the address inside.
MacAddress SwitchCore::own_mac(const NetworkDefinition& definition, uint32_t host) {
    const uint32_t address = definition.subnet.host(host).value;
    MacAddress mac{{0x02, 0x42, 0, 0, 0, 0}};
    for (size_t i = 0; i < 4; ++i)
        mac.bytes[2 + i] = static_cast<uint8_t>(address >> (24 - 8 * i));
    return mac;
}

SwitchCore::SwitchCore(NetworkDefinition definition)
    : definition_(std::move(definition)),
      switch_(definition_.dhcp),
      services_(services_config(definition_)),
      now_ns_(monotonic_ns()) {
    const auto port = switch_.add_port({.mac = own_mac(definition_, NetworkServices::kOwnHost),
                                        .serves_dhcp = true,
                                        .flooded_per_second = 0},
                                       *this);
    BANYAN_ASSERT(port.has_value());
    services_port_ = *port;
}

SwitchPortConfig SwitchCore::port_config(const std::string& name, const MacAddress& mac) const {
    SwitchPortConfig config{.mac = mac,
                            .isolated = definition_.private_members,
                            .bytes_per_second = definition_.bytes_per_second};
    const auto member = definition_.members.find(name);
    if (member != definition_.members.end()) {
        config.vlan = member->second.vlan;
        config.tagged_vlans = member->second.tagged;
    }
    return config;
}

Result<void> SwitchCore::add(SwitchMember& member, const SwitchPortConfig& config) {
    TRY_ASSIGN(port, switch_.add_port(config, member));
    member.port_ = port;
    members_[port] = &member;
    if (!config.mac) return {};
    if (member.kind() == SwitchMember::Kind::vm) services_.add_member(*config.mac, member.name());
    const Lease* lease = services_.leases().find(*config.mac);
    if (lease != nullptr && lease->bound) switch_.set_ipv4(port, lease->address);
    return {};
}

void SwitchCore::remove(SwitchMember& member) {
    std::erase(touched_, &member);
    if (!member.port_) return;
    if (const auto mac = switch_.config(*member.port_).mac) services_.remove_member(*mac);
    switch_.remove_port(*member.port_);
    members_.erase(*member.port_);
    member.port_.reset();
}

std::string_view SwitchCore::name_of(SwitchPortId port) const {
    if (port == services_port_) return kServicesName;
    const auto member = members_.find(port);
    return member != members_.end() ? member->second->name() : std::string_view();
}

bool SwitchCore::has_member(std::string_view name) const {
    return name == kServicesName ||
           std::any_of(members_.begin(), members_.end(),
                       [&](const auto& one) { return one.second->name() == name; });
}

void SwitchCore::begin() {
    now_ns_ = monotonic_ns();
}

void SwitchCore::forward(SwitchMember& from, const NetFrame& frame) {
    switch_.forward(*from.port(), frame, now_ns_);
}

void SwitchCore::touched(SwitchMember& member) {
    if (std::exchange(member.touched_, true)) return;
    touched_.push_back(&member);
}

void SwitchCore::settle() {
    answer_services();
    for (SwitchMember* member : touched_) {
        member->touched_ = false;
        member->flush();
    }
    touched_.clear();
}

bool SwitchCore::deliver(const NetFrame& frame) {
    if (!definition_.dhcp || frame.size > kLargestForServices) return true;
    if (for_services_.size() == kMostForServices) return false;
    std::vector<std::byte> copy(frame.size);
    copy_frame(frame, copy);
    for_services_.push_back(std::move(copy));
    return true;
}

void SwitchCore::answer_services() {
    if (for_services_.empty()) return;
    const uint64_t now_s = calendar_s();
    while (!for_services_.empty()) {
        const std::vector<std::byte> frame = std::move(for_services_.front());
        for_services_.pop_front();
        services_.handle(
            frame, now_s,
            [this](std::span<const std::byte> answer) {
                switch_.forward(services_port_, {std::span(&answer, 1), answer.size(), {}},
                                now_ns_);
            },
            [this](const MacAddress& mac, Ipv4Address address) { set_leased(mac, address); });
    }
}

void SwitchCore::set_leased(const MacAddress& mac, Ipv4Address address) {
    leases_changed_ = true;
    if (const auto port = switch_.owner_of(mac)) switch_.set_ipv4(*port, address);
}

void SwitchCore::restore_lease(const MacAddress& mac, const Lease& lease) {
    services_.restore_lease(mac, lease);
}

void SwitchCore::tick() {
    begin();
    switch_.forget_silent(now_ns_);
    services_.remove_expired(calendar_s());
}

}  // namespace banyan
