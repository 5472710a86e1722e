// A plan: what each VM of a user may use for the next second, from what they all have told of the
// last one. The same inputs give the same plan, whoever makes it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "resources/entitlement.hpp"

namespace banyan {

inline constexpr const char* kRootPool = "root";

struct Pool {
    std::string name;
    std::string parent;  // of the root: empty
    ResourceTerms cpu;
    ResourceTerms memory;
};

// How a VM is kept to its entitlement of CPU time.
enum class CpuControl : uint8_t {
    throttle,  // its vCPUs are held for parts of the time
    cgroup,    // the host's scheduler knows its weight and its ceiling
};

// The terms of one VM, and how it did in the last second.
struct VmDemand {
    int pid = 0;
    std::string name;
    std::string pool = kRootPool;
    bool governed = false;  // it has terms of its own, or a pool: for its sake there are plans
    ResourceTerms cpu;
    ResourceTerms memory;
    CpuControl control = CpuControl::throttle;
    uint64_t cpu_most = kOneCpu;   // of all its vCPUs
    uint64_t cpu_demand = 0;       // what it would use
    uint64_t cpu_used = 0;         // what it used
    uint64_t cpu_waited = 0;       // how long its vCPUs waited for a CPU of the host
    uint64_t memory_size = 0;      // of the guest
    uint64_t memory_demand = 0;    // what the guest needs
    uint64_t memory_resident = 0;  // what the host has given
};

struct VmEntitlement {
    uint64_t cpu = 0;          // what it may use
    uint64_t cpu_ceiling = 0;  // what limits alone allow
    uint64_t memory = 0;
};

struct Plan {
    uint64_t made_at = 0;  // nanoseconds of the host's monotonic clock
    int maker = 0;         // a process
    uint64_t cpu_capacity = 0;
    uint64_t memory_capacity = 0;
    // What is left of the CPUs by what is no VM of ours, as far as it shows.
    uint64_t cpu_available = 0;
    unsigned calm_seconds = 0;  // since nothing kept a VM from its entitlement
    std::map<int, VmEntitlement> vms;
    struct PoolEntitlement {
        uint64_t cpu = 0;
        uint64_t memory = 0;
    };
    std::map<std::string, PoolEntitlement> pools;
};

struct HostCapacity {
    uint64_t cpu = kOneCpu;
    uint64_t memory = 0;
};

// Pools in the order in which each follows its parent, the root first. What has no root gets one
// without limits; what hangs nowhere or in a circle hangs at the root.
std::vector<Pool> in_order(std::vector<Pool> pools);

// Of one resource: the pools in their order, then the VMs. VMs of an unknown pool are the root's.
struct ResourceTree {
    std::vector<ResourceNode> nodes;
    std::vector<uint64_t> most;
    size_t pools = 0;
};
ResourceTree cpu_tree(const std::vector<Pool>& ordered, const std::vector<VmDemand>& vms);
ResourceTree memory_tree(const std::vector<Pool>& ordered, const std::vector<VmDemand>& vms);

// `before`: the last one, if there was one lately. made_at and maker are the caller's to fill in.
Plan make_plan(const std::vector<Pool>& pools, const std::vector<VmDemand>& vms,
               const HostCapacity& capacity, const std::optional<Plan>& before);

}  // namespace banyan
