#include "app/network/network_definition.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "host/posix/host_error.hpp"
#include "network/port/port_handshake.hpp"
#include "network/switching/token_bucket.hpp"

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostNetworkName = 32;
constexpr unsigned kLeastPrefix = 8;
constexpr unsigned kMostPrefix = 28;  // services, an uplink and a few members

tl::unexpected<Error> wrong_network(std::string_view name, std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the network {}: {}", quote_name(name), why));
}

bool is_vlan(uint64_t vlan) {
    return vlan >= 1 && vlan <= kLastVlan;
}

Json to_json(const MemberDefinition& member) {
    return {{"vlan", member.vlan}, {"tagged", member.tagged}};
}

// Members of JSON objects that may be missing, and must be of their kind if not.
template <class T>
bool take(const Json& object, const char* key, T& value) {
    const auto found = object.find(key);
    if (found == object.end()) return true;
    if constexpr (std::is_same_v<T, bool>) {
        if (!found->is_boolean()) return false;
    } else if constexpr (std::is_same_v<T, std::string>) {
        if (!found->is_string()) return false;
    } else {
        if (!found->is_number_unsigned()) return false;
    }
    value = found->template get<T>();
    return true;
}

bool take_vlan(const Json& value, VlanId& vlan) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > kLastVlan) return false;
    vlan = value.get<VlanId>();
    return true;
}

bool take_member(const Json& object, MemberDefinition& member) {
    if (!object.is_object()) return false;
    if (object.contains("vlan") && !take_vlan(object["vlan"], member.vlan)) return false;
    if (!object.contains("tagged")) return true;
    if (!object["tagged"].is_array()) return false;
    for (const Json& one : object["tagged"]) {
        VlanId vlan = 0;
        if (!take_vlan(one, vlan)) return false;
        member.tagged.push_back(vlan);
    }
    return true;
}

bool take_members(const Json& object, NetworkDefinition& network) {
    if (!object.contains("members")) return true;
    if (!object["members"].is_object()) return false;
    for (const auto& [name, member] : object["members"].items()) {
        if (!take_member(member, network.members[name])) return false;
    }
    return true;
}

}  // namespace

bool is_network_name(std::string_view name) {
    return is_port_name(name) && name.size() <= kMostNetworkName;
}

// FNV-1a: the same name has the same block on every host, where it is free.
std::optional<Ipv4Subnet> choose_subnet(std::string_view name,
                                        const std::vector<Ipv4Subnet>& taken) {
    constexpr uint32_t kFirst = 0x0A400000;
    constexpr uint32_t kBlocks = 1 << 14;
    uint32_t hash = 2166136261U;
    for (const char c : name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    for (uint32_t i = 0; i < kBlocks; ++i) {
        const Ipv4Subnet subnet{{kFirst + ((hash + i) % kBlocks << 8)}, 24};
        if (std::none_of(taken.begin(), taken.end(),
                         [&](const Ipv4Subnet& other) { return other.overlaps(subnet); }))
            return subnet;
    }
    return {};
}

Result<void> validate(const NetworkDefinition& network) {
    if (!is_network_name(network.name)) {
        return wrong_network(network.name,
                             "that is no name; give letters, digits and -, up to 32 of them");
    }
    if (network.subnet.prefix < kLeastPrefix || network.subnet.prefix > kMostPrefix)
        return wrong_network(network.name, "its subnet is none; give one from /8 to /28");
    if (network.bytes_per_second > TokenBucket::kMostPerSecond)
        return wrong_network(network.name, "its rate is too high; give up to 1T");
    for (const auto& [name, member] : network.members) {
        if (!is_port_name(name))
            return wrong_network(network.name, "a member's name is none; give letters, digits, -");
        if ((member.vlan == 0 && member.tagged.empty()) ||
            !std::all_of(member.tagged.begin(), member.tagged.end(), is_vlan))
            return wrong_network(network.name, "a member's VLAN is none; give 1 to 4094");
    }
    return {};
}

std::string to_json(const NetworkDefinition& network) {
    Json members = Json::object();
    for (const auto& [name, member] : network.members)
        members[name] = to_json(member);
    const Json all{{"subnet", to_text(network.subnet)},
                   {"nat", network.nat},
                   {"private", network.private_members},
                   {"dhcp", network.dhcp},
                   {"bytes_per_second", network.bytes_per_second},
                   {"members", std::move(members)}};
    return all.dump(2) + "\n";
}

Result<NetworkDefinition> network_from_json(const std::string& name, std::string_view text) {
    const auto malformed = [&] {
        return wrong_network(name, "its definition is malformed; remove it and make it again");
    };
    const Json all = Json::parse(text, nullptr, false);
    NetworkDefinition network;
    network.name = name;
    std::string subnet;
    if (!all.is_object() || !take(all, "subnet", subnet) || !take(all, "nat", network.nat) ||
        !take(all, "private", network.private_members) || !take(all, "dhcp", network.dhcp) ||
        !take(all, "bytes_per_second", network.bytes_per_second) || !take_members(all, network))
        return malformed();
    const auto block = parse_subnet(subnet);
    if (!block) return malformed();
    network.subnet = *block;
    TRY(validate(network));
    return network;
}

}  // namespace banyan
