#include "app/cli/network_tasks.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/values.hpp"
#include "app/network/network_process.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

using NetworkJson = nlohmann::ordered_json;

struct OfMember {
    std::string member;
    std::string value;
};

Result<OfMember> split_member(std::string_view option, const std::string& text) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("{} {}: it names no member; give MEMBER=VLAN", option, quote_name(text)));
    }
    return OfMember{text.substr(0, equals), text.substr(equals + 1)};
}

Result<void> add_vlans(const NetworkCommandOptions& options, NetworkDefinition& network) {
    for (const std::string& text : options.vlans) {
        TRY_ASSIGN(wanted, split_member("--vlan", text));
        TRY_ASSIGN(vlan, parse_number("--vlan", wanted.value, kLastVlan));
        network.members[wanted.member].vlan = static_cast<VlanId>(vlan);
    }
    return {};
}

// A trunk has no frames without tags, unless --vlan says of which VLAN those are.
Result<void> add_trunks(const NetworkCommandOptions& options, NetworkDefinition& network) {
    for (const std::string& text : options.trunks) {
        TRY_ASSIGN(wanted, split_member("--trunk", text));
        const bool has_vlan = network.members.contains(wanted.member);
        MemberDefinition& member = network.members[wanted.member];
        if (!has_vlan) member.vlan = 0;
        for (size_t at = 0; at <= wanted.value.size();) {
            const size_t comma = std::min(wanted.value.find(',', at), wanted.value.size());
            TRY_ASSIGN(vlan,
                       parse_number("--trunk", wanted.value.substr(at, comma - at), kLastVlan));
            member.tagged.push_back(static_cast<VlanId>(vlan));
            at = comma + 1;
        }
    }
    return {};
}

Result<Ipv4Subnet> subnet_of(const NetworkCommandOptions& options,
                             const std::vector<Ipv4Subnet>& taken) {
    if (!options.subnet.empty()) {
        if (const auto subnet = parse_subnet(options.subnet)) return *subnet;
        return fail(ErrorCode::invalid_argument,
                    fmt::format("--subnet {}: that is none; give one like 10.1.2.0/24",
                                quote_name(options.subnet)));
    }
    if (const auto subnet = choose_subnet(options.name, taken)) return *subnet;
    return fail(ErrorCode::invalid_argument, "no block of addresses is left; give a --subnet");
}

// As the switch tells it, or what is known of one that does not run.
Result<NetworkJson> state_of(const RunDirectory& directory, const NetworkStore& store,
                             const std::string& name) {
    if (const auto text = network_report(directory, name)) {
        auto report = NetworkJson::parse(*text, nullptr, false);
        if (report.is_object() && report.contains("ports")) return report;
    }
    TRY_ASSIGN(network, store.read(name));
    return NetworkJson{{"name", network.name},
                       {"running", false},
                       {"subnet", to_text(network.subnet)},
                       {"nat", network.nat},
                       {"private", network.private_members},
                       {"stream_socket", network_paths(directory, name).stream},
                       {"ports", NetworkJson::array()},
                       {"leases", NetworkJson::array()}};
}

Result<NetworkJson> all_states() {
    TRY_ASSIGN(store, NetworkStore::open());
    TRY_ASSIGN(directory, RunDirectory::open());
    NetworkJson all = NetworkJson::array();
    for (const std::string& name : store.names()) {
        auto state = state_of(directory, store, name);
        if (state) all.push_back(std::move(*state));
    }
    return all;
}

Result<NetworkJson> one_state(const std::string& name) {
    TRY_ASSIGN(store, NetworkStore::open());
    TRY_ASSIGN(directory, RunDirectory::open());
    if (!store.has(name)) TRY(store.read(name));  // its message says that there is none
    return state_of(directory, store, name);
}

std::string text_or_dash(const NetworkJson& value) {
    return value.is_string() ? value.get<std::string>() : "-";
}

std::string drops_text(const NetworkJson& drops) {
    std::string text;
    for (const auto& [reason, count] : drops.items()) {
        if (count != 0) text += fmt::format(" {} {}", reason, count.get<uint64_t>());
    }
    return text.empty() ? " none" : text;
}

std::string port_text(const NetworkJson& port) {
    return fmt::format(
        "  {:<16} {:<8} {:<17}  {:<15} received {} ({} bytes), sent {} ({} bytes), dropped:{}\n",
        port["name"].get<std::string>(), port["kind"].get<std::string>(), text_or_dash(port["mac"]),
        text_or_dash(port["ipv4"]), port["received_frames"].get<uint64_t>(),
        port["received_bytes"].get<uint64_t>(), port["sent_frames"].get<uint64_t>(),
        port["sent_bytes"].get<uint64_t>(), drops_text(port["drops"]));
}

std::string summary_text(const NetworkJson& state) {
    return fmt::format("{}: {}, {}{}{}\n", state["name"].get<std::string>(),
                       state["running"] == true ? "running" : "not running",
                       state["subnet"].get<std::string>(), state["nat"] == true ? ", nat" : "",
                       state["private"] == true ? ", private" : "");
}

}  // namespace

Result<NetworkDefinition> parse_network(const NetworkCommandOptions& options,
                                        const std::vector<Ipv4Subnet>& taken) {
    if (options.nat && options.isolated) {
        return fail(ErrorCode::invalid_argument,
                    "wrong usage: --nat and --isolated exclude each other; give one of them");
    }
    NetworkDefinition network;
    network.name = options.name;
    network.nat = options.nat;
    network.private_members = options.private_members;
    network.dhcp = !options.no_dhcp;
    TRY_ASSIGN(subnet, subnet_of(options, taken));
    network.subnet = subnet;
    if (!options.rate.empty()) {
        TRY_ASSIGN(rate, parse_size("--rate", options.rate));
        network.bytes_per_second = rate;
    }
    TRY(add_vlans(options, network));
    TRY(add_trunks(options, network));
    TRY(validate(network));
    return network;
}

Result<void> create_network(const NetworkDefinition& network) {
    TRY_ASSIGN(store, NetworkStore::open());
    TRY_ASSIGN(directory, RunDirectory::open());
    if (store.has(network.name)) {
        return fail(ErrorCode::busy, fmt::format("the network {}: there is one of that name; "
                                                 "remove it first, or give another name",
                                                 quote_name(network.name)));
    }
    TRY(store.write(network));
    auto started = start_network(directory, network.name);
    if (!started) store.remove(network.name);
    return started;
}

Result<void> ensure_network_runs(const std::string& name) {
    TRY_ASSIGN(store, NetworkStore::open());
    TRY(store.read(name));
    TRY_ASSIGN(directory, RunDirectory::open());
    return start_network(directory, name);
}

Result<void> join_networks(std::vector<NetChoice>& nets) {
    for (NetChoice& net : nets) {
        if (net.kind != NetKind::network_switch) continue;
        TRY(ensure_network_runs(net.name));
        TRY_ASSIGN(directory, RunDirectory::open());
        net.socket = network_paths(directory, net.name).port;
    }
    return {};
}

Result<void> remove_network(const std::string& name) {
    TRY_ASSIGN(store, NetworkStore::open());
    TRY_ASSIGN(directory, RunDirectory::open());
    if (!store.has(name)) TRY(store.read(name));  // its message says that there is none
    TRY(end_network(directory, name));
    store.remove(name);
    for (const std::string& file : directory.names()) {
        if (file.starts_with(fmt::format("network-{}.", name))) directory.remove(file);
    }
    return {};
}

Result<std::string> network_list_text() {
    TRY_ASSIGN(all, all_states());
    if (all.empty()) return "no network is defined; make one with banyan network create\n";
    std::string text;
    for (const NetworkJson& state : all)
        text += summary_text(state);
    return text;
}

Result<std::string> network_list_json() {
    TRY_ASSIGN(all, all_states());
    return all.dump(2) + "\n";
}

Result<std::string> network_text(const std::string& name) {
    TRY_ASSIGN(state, one_state(name));
    std::string text = summary_text(state);
    text += fmt::format("  stream socket: {}\n", state["stream_socket"].get<std::string>());
    for (const NetworkJson& port : state["ports"])
        text += port_text(port);
    return text;
}

Result<std::string> network_json(const std::string& name) {
    TRY_ASSIGN(state, one_state(name));
    return state.dump(2) + "\n";
}

}  // namespace banyan
