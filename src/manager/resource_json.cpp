#include "manager/resource_json.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace banyan {

namespace {

ResourceJson member_of(const ResourceJson& json, const char* name) {
    if (!json.is_object()) return nullptr;
    const auto found = json.find(name);
    return found != json.end() ? *found : ResourceJson();
}

uint64_t amount_of(const ResourceJson& json, const char* name, uint64_t otherwise = 0) {
    const ResourceJson value = member_of(json, name);
    return value.is_number_unsigned() ? value.get<uint64_t>() : otherwise;
}

std::string word_of(const ResourceJson& json, const char* name, std::string otherwise = "") {
    const ResourceJson value = member_of(json, name);
    return value.is_string() ? value.get<std::string>() : otherwise;
}

std::optional<int> process_of(const std::string& text) {
    int pid = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, pid);
    return error == std::errc{} && at == end && pid > 0 ? std::optional(pid) : std::nullopt;
}

}  // namespace

ResourceJson json_of(const ResourceTerms& terms) {
    ResourceJson json{{"shares", terms.shares}, {"reservation", terms.reservation}};
    json["limit"] = terms.limit == kUnlimited ? ResourceJson() : ResourceJson(terms.limit);
    return json;
}

ResourceTerms terms_from(const ResourceJson& json) {
    ResourceTerms terms;
    terms.shares = std::clamp<uint64_t>(amount_of(json, "shares", kUsualShares), 1, kMostShares);
    terms.reservation = amount_of(json, "reservation");
    terms.limit = amount_of(json, "limit", kUnlimited);
    return terms;
}

ResourceJson json_of(const Pool& pool) {
    return {{"name", pool.name},
            {"parent", pool.parent},
            {"cpu", json_of(pool.cpu)},
            {"memory", json_of(pool.memory)}};
}

std::optional<Pool> pool_from(const ResourceJson& json) {
    Pool pool{word_of(json, "name"), word_of(json, "parent"), terms_from(member_of(json, "cpu")),
              terms_from(member_of(json, "memory"))};
    if (pool.name.empty()) return std::nullopt;
    return pool;
}

ResourceJson json_of(const VmDemand& vm) {
    return {{"pool", vm.pool},
            {"governed", vm.governed},
            {"cpu", json_of(vm.cpu)},
            {"memory", json_of(vm.memory)},
            {"control", vm.control == CpuControl::cgroup ? "cgroup" : "throttle"},
            {"cpu_most", vm.cpu_most},
            {"cpu_demand", vm.cpu_demand},
            {"cpu_used", vm.cpu_used},
            {"cpu_waited", vm.cpu_waited},
            {"memory_size", vm.memory_size},
            {"memory_demand", vm.memory_demand},
            {"memory_resident", vm.memory_resident}};
}

std::optional<VmDemand> demand_from(const ResourceJson& running_vm) {
    const ResourceJson json = member_of(running_vm, "resources");
    if (!json.is_object()) return std::nullopt;
    VmDemand vm;
    vm.pid = static_cast<int>(amount_of(running_vm, "pid"));
    vm.name = word_of(running_vm, "name");
    vm.pool = word_of(json, "pool", kRootPool);
    vm.governed = member_of(json, "governed") == true;
    vm.cpu = terms_from(member_of(json, "cpu"));
    vm.memory = terms_from(member_of(json, "memory"));
    vm.control = word_of(json, "control") == "cgroup" ? CpuControl::cgroup : CpuControl::throttle;
    vm.cpu_most = amount_of(json, "cpu_most", kOneCpu);
    vm.cpu_demand = amount_of(json, "cpu_demand");
    vm.cpu_used = amount_of(json, "cpu_used");
    vm.cpu_waited = amount_of(json, "cpu_waited");
    vm.memory_size = amount_of(json, "memory_size");
    vm.memory_demand = amount_of(json, "memory_demand");
    vm.memory_resident = amount_of(json, "memory_resident");
    return vm;
}

ResourceJson json_of(const Plan& plan) {
    ResourceJson json{{"made_at", plan.made_at},
                      {"maker", plan.maker},
                      {"cpu_capacity", plan.cpu_capacity},
                      {"memory_capacity", plan.memory_capacity},
                      {"cpu_available", plan.cpu_available},
                      {"calm_seconds", plan.calm_seconds},
                      {"vms", ResourceJson::object()},
                      {"pools", ResourceJson::object()}};
    for (const auto& [pid, vm] : plan.vms)
        json["vms"][std::to_string(pid)] = {
            {"cpu", vm.cpu}, {"cpu_ceiling", vm.cpu_ceiling}, {"memory", vm.memory}};
    for (const auto& [name, pool] : plan.pools)
        json["pools"][name] = {{"cpu", pool.cpu}, {"memory", pool.memory}};
    return json;
}

std::optional<Plan> plan_from(std::string_view text) {
    const auto json = ResourceJson::parse(text, nullptr, false);
    if (!json.is_object() || !member_of(json, "made_at").is_number_unsigned()) return std::nullopt;
    Plan plan;
    plan.made_at = amount_of(json, "made_at");
    plan.maker = static_cast<int>(amount_of(json, "maker"));
    plan.cpu_capacity = amount_of(json, "cpu_capacity");
    plan.memory_capacity = amount_of(json, "memory_capacity");
    plan.cpu_available = amount_of(json, "cpu_available");
    plan.calm_seconds = static_cast<unsigned>(amount_of(json, "calm_seconds"));
    const ResourceJson vms = member_of(json, "vms");
    for (const auto& [key, vm] : vms.items()) {
        const auto pid = process_of(key);
        if (!pid) continue;
        plan.vms[*pid] = {amount_of(vm, "cpu"), amount_of(vm, "cpu_ceiling"),
                          amount_of(vm, "memory")};
    }
    const ResourceJson pools = member_of(json, "pools");
    for (const auto& [name, pool] : pools.items())
        plan.pools[name] = {amount_of(pool, "cpu"), amount_of(pool, "memory")};
    return plan;
}

}  // namespace banyan
