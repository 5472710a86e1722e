#include "app/switch/switch_report.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;

std::string_view kind_text(SwitchMember::Kind kind) {
    switch (kind) {
        case SwitchMember::Kind::vm: return "vm";
        case SwitchMember::Kind::stream: return "stream";
        case SwitchMember::Kind::uplink: return "uplink";
    }
    return "";
}

Json counters_json(const SwitchPortCounters& counters) {
    Json drops = Json::object();
    for (size_t i = 0; i < kSwitchDrops; ++i)
        drops[std::string(to_text(static_cast<SwitchDrop>(i)))] = counters.drops[i];
    return {{"received_frames", counters.received_frames},
            {"received_bytes", counters.received_bytes},
            {"sent_frames", counters.sent_frames},
            {"sent_bytes", counters.sent_bytes},
            {"drops", std::move(drops)},
            {"not_learned", counters.not_learned}};
}

Json port_json(const SwitchCore& core, std::string_view name, std::string_view kind,
               SwitchPortId port) {
    const SwitchPortConfig& config = core.ports().config(port);
    Json macs = Json::array();
    for (const auto& entry : core.ports().addresses()) {
        if (entry.port == port) macs.push_back(to_text(entry.mac));
    }
    Json json{{"name", name},
              {"kind", kind},
              {"mac", config.mac ? Json(to_text(*config.mac)) : Json(nullptr)},
              {"ipv4", config.ipv4 ? Json(to_text(*config.ipv4)) : Json(nullptr)},
              {"vlan", config.vlan},
              {"tagged_vlans", config.tagged_vlans},
              {"isolated", config.isolated},
              {"bytes_per_second", config.bytes_per_second},
              {"seen_macs", std::move(macs)}};
    json.update(counters_json(core.ports().counters(port)));
    return json;
}

Json leases(const NetworkServices& services) {
    Json all = Json::array();
    for (const auto& [mac, lease] : services.leases().all()) {
        if (!lease.bound) continue;
        all.push_back({{"mac", to_text(mac)},
                       {"address", to_text(lease.address)},
                       {"name", services.name_of(mac)},
                       {"host_name", lease.host_name},
                       {"expires", lease.expires_s}});
    }
    return all;
}

bool has_text(const Json& object, const char* key) {
    return object.contains(key) && object[key].is_string();
}

}  // namespace

std::string switch_report(const SwitchCore& core, const std::vector<const SwitchMember*>& members,
                          const ReportFrame& frame) {
    const NetworkDefinition& network = core.definition();
    Json ports = Json::array();
    if (network.dhcp)
        ports.push_back(port_json(core, "services", "services", core.services_port()));
    for (const SwitchMember* member : members) {
        if (member->port())
            ports.push_back(
                port_json(core, member->name(), kind_text(member->kind()), *member->port()));
    }
    const Json report{{"name", network.name},
                      {"running", true},
                      {"pid", static_cast<unsigned>(::getpid())},
                      {"seconds", frame.seconds},
                      {"subnet", to_text(network.subnet)},
                      {"nat", network.nat},
                      {"private", network.private_members},
                      {"address", to_text(core.services().address())},
                      {"stream_socket", frame.stream_socket},
                      {"ports", std::move(ports)},
                      {"leases", leases(core.services())}};
    return report.dump(2) + "\n";
}

std::string leases_json(const NetworkServices& services) {
    return leases(services).dump() + "\n";
}

void restore_leases(SwitchCore& core, std::string_view text) {
    const Json all = Json::parse(text, nullptr, false);
    if (!all.is_array()) return;
    for (const Json& one : all) {
        if (!one.is_object() || !has_text(one, "mac") || !has_text(one, "address") ||
            !has_text(one, "host_name") || !one.contains("expires") ||
            !one["expires"].is_number_unsigned())
            continue;
        const auto mac = parse_mac(one["mac"].get<std::string>());
        const auto address = parse_ipv4(one["address"].get<std::string>());
        if (!mac || !address) continue;
        core.restore_lease(*mac, {.address = *address,
                                  .expires_s = one["expires"].get<uint64_t>(),
                                  .bound = true,
                                  .host_name = one["host_name"].get<std::string>()});
    }
}

}  // namespace banyan
