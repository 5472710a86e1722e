#include "app/cli/pool_tasks.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "host/posix/host_error.hpp"
#include "manager/pool_store.hpp"
#include "manager/resource_governor.hpp"
#include "manager/resource_json.hpp"

namespace banyan {

namespace {

// All that is known: pools, the VMs that run, and the plan if anybody is governed.
struct PoolFacts {
    std::vector<Pool> pools;
    std::vector<VmDemand> vms;
    std::optional<Plan> plan;
};

Result<PoolFacts> pool_facts() {
    TRY_ASSIGN(store, PoolStore::open());
    TRY_ASSIGN(pools, store.pools());
    TRY_ASSIGN(directory, RunDirectory::open());
    return PoolFacts{std::move(pools), published_demands(directory), current_plan(directory)};
}

std::vector<VmDemand> running_demands() {
    const auto directory = RunDirectory::open();
    return directory ? published_demands(*directory) : std::vector<VmDemand>();
}

bool is_below(const std::vector<Pool>& pools, std::string name, const std::string& ancestor) {
    for (size_t depth = 0; depth <= pools.size(); ++depth) {
        if (name == ancestor) return true;
        const auto pool = std::find_if(pools.begin(), pools.end(),
                                       [&](const Pool& one) { return one.name == name; });
        if (pool == pools.end()) return false;
        name = pool->parent;
    }
    return false;
}

Result<void> take_parent(const std::vector<Pool>& pools, const std::string& parent, Pool& pool) {
    if (parent.empty()) return {};
    TRY(find_pool(pools, parent, "--parent"));
    if (pool.name == kRootPool || is_below(pools, parent, pool.name)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("--parent {}: {} would be in itself; give another pool",
                                quote_name(parent), quote_name(pool.name)));
    }
    pool.parent = parent;
    return {};
}

Result<void> check_fit_of(const std::vector<Pool>& pools, const std::string& what) {
    return check_reservations(pools, running_demands(), capacity_at_most(), what);
}

ResourceJson json_with_entitlement(const Pool& pool, const PoolFacts& facts) {
    ResourceJson json = json_of(pool);
    if (pool.name == kRootPool) {
        const HostCapacity host = capacity_at_most();
        json["host"] = {{"cpu", host.cpu}, {"memory", host.memory}};
    }
    if (facts.plan && facts.plan->pools.contains(pool.name)) {
        const auto& entitled = facts.plan->pools.at(pool.name);
        json["cpu_entitlement"] = entitled.cpu;
        json["memory_entitlement"] = entitled.memory;
    }
    json["vms"] = ResourceJson::array();
    for (const VmDemand& vm : facts.vms) {
        if (vm.pool != pool.name) continue;
        ResourceJson one{{"name", vm.name}, {"pid", vm.pid}};
        one.update(json_of(vm));
        if (facts.plan && facts.plan->vms.contains(vm.pid)) {
            one["cpu_entitlement"] = facts.plan->vms.at(vm.pid).cpu;
            one["memory_entitlement"] = facts.plan->vms.at(vm.pid).memory;
        }
        json["vms"].push_back(std::move(one));
    }
    return json;
}

std::string terms_text(const ResourceTerms& terms, std::string (*text)(uint64_t)) {
    return fmt::format("shares {}, reservation {}, limit {}", terms.shares, text(terms.reservation),
                       text(terms.limit));
}

std::string vm_line(const VmDemand& vm, const PoolFacts& facts) {
    std::string entitled = "nobody governs";
    if (facts.plan && facts.plan->vms.contains(vm.pid)) {
        const VmEntitlement& own = facts.plan->vms.at(vm.pid);
        entitled = fmt::format("entitled to {} and {}", cpu_text(own.cpu), memory_text(own.memory));
    }
    return fmt::format("  {}: uses {} of CPU and {} of {}; {}\n", vm.name, cpu_text(vm.cpu_used),
                       memory_text(vm.memory_resident), memory_text(vm.memory_size), entitled);
}

}  // namespace

Result<void> create_pool(const PoolCommandOptions& options) {
    TRY_ASSIGN(store, PoolStore::open());
    return store.update([&](std::vector<Pool>& pools) -> Result<void> {
        if (!is_pool_name(options.name)) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("pool create {}: a name has 1 to 64 letters, digits and - _ . "
                                    "and begins with none of these; give another",
                                    quote_name(options.name)));
        }
        if (find_pool(pools, options.name, "")) {
            return fail(ErrorCode::busy,
                        fmt::format("pool create {}: there is one of that name; give another, or "
                                    "use banyan pool set",
                                    quote_name(options.name)));
        }
        Pool pool{options.name, kRootPool, {}, {}};
        TRY(take_parent(pools, options.parent, pool));
        TRY(change_terms(options.terms, pool.cpu, pool.memory));
        pools.push_back(std::move(pool));
        return check_fit_of(pools, fmt::format("pool create {}", quote_name(options.name)));
    });
}

Result<void> set_pool(const PoolCommandOptions& options) {
    TRY_ASSIGN(store, PoolStore::open());
    return store.update([&](std::vector<Pool>& pools) -> Result<void> {
        TRY(find_pool(pools, options.name, "pool set"));
        Pool& pool = *std::find_if(pools.begin(), pools.end(),
                                   [&](const Pool& one) { return one.name == options.name; });
        if (!has_terms(options.terms) && options.parent.empty()) {
            return fail(ErrorCode::invalid_argument,
                        "wrong usage: nothing to change; see banyan pool set --help");
        }
        TRY(take_parent(pools, options.parent, pool));
        TRY(change_terms(options.terms, pool.cpu, pool.memory));
        return check_fit_of(pools, fmt::format("pool set {}", quote_name(options.name)));
    });
}

Result<void> remove_pool(const std::string& name) {
    TRY_ASSIGN(store, PoolStore::open());
    return store.update([&](std::vector<Pool>& pools) -> Result<void> {
        TRY(find_pool(pools, name, "pool remove"));
        const auto refuse = [&](std::string_view why) {
            return fail(ErrorCode::busy, fmt::format("pool remove {}: {}", quote_name(name), why));
        };
        if (name == kRootPool) return refuse("all others are in it; it stays");
        for (const Pool& pool : pools) {
            if (pool.parent == name)
                return refuse(
                    fmt::format("the pool {} is in it; remove that first, or give it "
                                "another parent",
                                quote_name(pool.name)));
        }
        for (const VmDemand& vm : running_demands()) {
            if (vm.pool == name)
                return refuse(fmt::format("the VM {} is in it; end it, or move it by banyan set",
                                          quote_name(vm.name)));
        }
        std::erase_if(pools, [&](const Pool& pool) { return pool.name == name; });
        return {};
    });
}

Result<std::string> pool_list_text() {
    constexpr std::string_view kRow =
        "{:<16} {:<16} {:>7} {:>11} {:>8} {:>7} {:>11} {:>10} {:>4}\n";
    TRY_ASSIGN(facts, pool_facts());
    std::string text = fmt::format(kRow, "NAME", "PARENT", "SHARES", "RESERVATION", "LIMIT",
                                   "SHARES", "RESERVATION", "LIMIT", "VMS");
    for (const Pool& pool : facts.pools) {
        const auto vms = std::count_if(facts.vms.begin(), facts.vms.end(),
                                       [&](const VmDemand& vm) { return vm.pool == pool.name; });
        text += fmt::format(
            kRow, pool.name, pool.parent.empty() ? "-" : pool.parent, pool.cpu.shares,
            cpu_text(pool.cpu.reservation), cpu_text(pool.cpu.limit), pool.memory.shares,
            memory_text(pool.memory.reservation), memory_text(pool.memory.limit), vms);
    }
    return fmt::format("{:<33} {:<28} MEMORY\n", "", "CPU") + text;
}

Result<std::string> pool_list_json() {
    TRY_ASSIGN(facts, pool_facts());
    ResourceJson all = ResourceJson::array();
    for (const Pool& pool : facts.pools)
        all.push_back(json_with_entitlement(pool, facts));
    return all.dump(2) + "\n";
}

Result<std::string> pool_text(const std::string& name) {
    TRY_ASSIGN(facts, pool_facts());
    TRY_ASSIGN(pool, find_pool(facts.pools, name, "pool show"));
    std::string text =
        fmt::format("{}{}\n  cpu: {}\n  memory: {}\n", pool.name,
                    pool.parent.empty() ? "" : fmt::format(": in {}", pool.parent),
                    terms_text(pool.cpu, cpu_text), terms_text(pool.memory, memory_text));
    if (name == kRootPool) {
        const HostCapacity host = capacity_at_most();
        text += fmt::format("  this host has {} of CPU and {} for VMs\n", cpu_text(host.cpu),
                            memory_text(host.memory));
    }
    for (const VmDemand& vm : facts.vms) {
        if (vm.pool == name) text += vm_line(vm, facts);
    }
    return text;
}

Result<std::string> pool_json(const std::string& name) {
    TRY_ASSIGN(facts, pool_facts());
    TRY_ASSIGN(pool, find_pool(facts.pools, name, "pool show"));
    return json_with_entitlement(pool, facts).dump(2) + "\n";
}

}  // namespace banyan
