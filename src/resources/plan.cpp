#include "resources/plan.hpp"

#include <algorithm>

namespace banyan {

namespace {

// A guest that gets nothing at all loses its time and its network.
constexpr uint64_t kLeastCpu = kOneCpu / 100;
// Per cent: less is short of an entitlement by more than measuring explains.
constexpr uint64_t kNearly = 97;
constexpr unsigned kMostDoublings = 5;

size_t index_of_pool(const std::vector<Pool>& ordered, const std::string& name) {
    const auto found = std::find_if(ordered.begin(), ordered.end(),
                                    [&](const Pool& pool) { return pool.name == name; });
    return found != ordered.end() ? static_cast<size_t>(found - ordered.begin()) : 0;
}

ResourceTree tree_of(const std::vector<Pool>& ordered, ResourceTerms Pool::*terms) {
    ResourceTree tree;
    for (const Pool& pool : ordered) {
        tree.nodes.push_back({index_of_pool(ordered, pool.parent), pool.*terms, 0});
        tree.most.push_back(0);
    }
    tree.pools = ordered.size();
    return tree;
}

// How a VM whose CPU time is kept by holding it did, by the last plan.
struct Fulfilment {
    bool hungry = false;  // it would have used all that it was entitled to
    bool kept = false;    // but had to wait for a CPU, and got less
};

Fulfilment fulfilment_of(const VmDemand& vm, const Plan& before) {
    const auto planned = before.vms.find(vm.pid);
    if (planned == before.vms.end() || vm.control == CpuControl::cgroup) return {};
    const uint64_t nearly = std::min(planned->second.cpu, vm.cpu_most) / 100 * kNearly;
    const bool hungry = saturating_sum(vm.cpu_used, vm.cpu_waited) >= nearly;
    const bool waited = vm.cpu_waited > vm.cpu_most / 20;
    return {hungry, hungry && waited && vm.cpu_used < nearly};
}

// Somebody was kept from its own, and another of our VMs might have had it.
bool is_contended(const std::vector<VmDemand>& vms, const Plan& before) {
    size_t hungry = 0;
    size_t kept = 0;
    for (const VmDemand& vm : vms) {
        const Fulfilment one = fulfilment_of(vm, before);
        hungry += one.hungry ? 1 : 0;
        kept += one.kept ? 1 : 0;
    }
    return kept > 0 && hungry > 1;
}

// The host has other things to do. How much they leave is seen when a VM is kept from what it is
// entitled to: then no more can be had than was. Else a little more is tried, and more each time.
void estimate_available(Plan& plan, const std::vector<VmDemand>& vms,
                        const std::optional<Plan>& before) {
    plan.cpu_available = plan.cpu_capacity;
    if (!before) return;
    uint64_t used = 0;
    for (const VmDemand& vm : vms)
        used = saturating_sum(used, vm.cpu_used);
    if (is_contended(vms, *before)) {
        plan.cpu_available = std::clamp(used, kLeastCpu, plan.cpu_capacity);
        return;
    }
    plan.calm_seconds = std::min(before->calm_seconds + 1, kMostDoublings);
    const uint64_t more = (before->cpu_available / 100) << plan.calm_seconds;
    const uint64_t tried = std::max(saturating_sum(before->cpu_available, more), used);
    plan.cpu_available = std::min(tried, plan.cpu_capacity);
}

// The limits of a VM and of the pools it is in.
uint64_t tightest_limit(const ResourceTree& tree, size_t node) {
    uint64_t limit = tree.nodes[node].terms.limit;
    while (node != 0) {
        node = tree.nodes[node].parent;
        limit = std::min(limit, tree.nodes[node].terms.limit);
    }
    return limit;
}

// A VM with a reservation need not wait for the next plan when it wakes up.
uint64_t cpu_of(const ResourceTree& tree, size_t node, uint64_t entitled) {
    const uint64_t reservation = std::min(tree.nodes[node].terms.reservation, tree.most[node]);
    const uint64_t least = std::max(reservation, kLeastCpu);
    return std::min(std::max(entitled, least), tightest_limit(tree, node));
}

void plan_cpu(Plan& plan, const std::vector<Pool>& ordered, const std::vector<VmDemand>& vms) {
    const ResourceTree tree = cpu_tree(ordered, vms);
    const auto entitled = generous_entitlements(plan.cpu_available, tree.nodes, tree.most);
    const auto ceiling = generous_entitlements(kUnlimited, tree.nodes, tree.most);
    for (size_t i = 0; i < vms.size(); ++i) {
        const size_t node = tree.pools + i;
        VmEntitlement& vm = plan.vms[vms[i].pid];
        vm.cpu = cpu_of(tree, node, entitled[node]);
        vm.cpu_ceiling = std::max(ceiling[node], vm.cpu);
    }
    for (size_t i = 0; i < ordered.size(); ++i)
        plan.pools[ordered[i].name].cpu = entitled[i];
}

void plan_memory(Plan& plan, const std::vector<Pool>& ordered, const std::vector<VmDemand>& vms) {
    const ResourceTree tree = memory_tree(ordered, vms);
    const auto entitled = generous_entitlements(plan.memory_capacity, tree.nodes, tree.most);
    for (size_t i = 0; i < vms.size(); ++i)
        plan.vms[vms[i].pid].memory = entitled[tree.pools + i];
    for (size_t i = 0; i < ordered.size(); ++i)
        plan.pools[ordered[i].name].memory = entitled[i];
}

}  // namespace

std::vector<Pool> in_order(std::vector<Pool> pools) {
    std::vector<Pool> ordered;
    const auto take = [&](auto wanted) {
        const auto rest = std::stable_partition(pools.begin(), pools.end(), wanted);
        std::move(pools.begin(), rest, std::back_inserter(ordered));
        const bool some = rest != pools.begin();
        pools.erase(pools.begin(), rest);
        return some;
    };
    take([](const Pool& pool) { return pool.name == kRootPool; });
    ordered.resize(1);
    ordered[0].name = kRootPool;
    ordered[0].parent.clear();
    while (take([&](const Pool& pool) {
        return std::any_of(ordered.begin(), ordered.end(),
                           [&](const Pool& parent) { return parent.name == pool.parent; });
    })) {
    }
    for (Pool& lost : pools) {
        lost.parent = kRootPool;
        ordered.push_back(std::move(lost));
    }
    return ordered;
}

ResourceTree cpu_tree(const std::vector<Pool>& ordered, const std::vector<VmDemand>& vms) {
    ResourceTree tree = tree_of(ordered, &Pool::cpu);
    for (const VmDemand& vm : vms) {
        tree.nodes.push_back({index_of_pool(ordered, vm.pool), vm.cpu, vm.cpu_demand});
        tree.most.push_back(vm.cpu_most);
    }
    return tree;
}

ResourceTree memory_tree(const std::vector<Pool>& ordered, const std::vector<VmDemand>& vms) {
    ResourceTree tree = tree_of(ordered, &Pool::memory);
    for (const VmDemand& vm : vms) {
        tree.nodes.push_back({index_of_pool(ordered, vm.pool), vm.memory, vm.memory_demand});
        tree.most.push_back(vm.memory_size);
    }
    return tree;
}

Plan make_plan(const std::vector<Pool>& pools, const std::vector<VmDemand>& vms,
               const HostCapacity& capacity, const std::optional<Plan>& before) {
    Plan plan;
    const std::vector<Pool> ordered = in_order(pools);
    plan.cpu_capacity = capacity.cpu;
    plan.memory_capacity = capacity.memory;
    estimate_available(plan, vms, before);
    plan_cpu(plan, ordered, vms);
    plan_memory(plan, ordered, vms);
    return plan;
}

}  // namespace banyan
