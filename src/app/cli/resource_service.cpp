#include "app/cli/resource_service.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <unistd.h>

#include "host/linux/stderr_log.hpp"
#include "manager/pool_store.hpp"
#include "manager/resource_governor.hpp"
#include "resources/balloon_policy.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

// proc(5), statm: the second number, in pages.
uint64_t resident_memory() {
    uint64_t size = 0;
    uint64_t resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

GuestMemorySituation situation_of(const VmDemand& demand, const BalloonStatistics& balloon) {
    return {.size = demand.memory_size,
            .entitlement = demand.memory_size,
            .limit = demand.memory.limit,
            .target = balloon.target,
            .actual = balloon.actual,
            .total = balloon.total_memory,
            .available = balloon.available_memory};
}

Result<void> check_pool(const std::string& name) {
    if (name == kRootPool) return {};
    TRY_ASSIGN(store, PoolStore::open());
    TRY_ASSIGN(pools, store.pools());
    TRY(find_pool(pools, name, "--pool"));
    return {};
}

// All that others have reserved, and `wanted`.
Result<void> check_fit(const RunDirectory& directory, const VmDemand& wanted) {
    TRY_ASSIGN(store, PoolStore::open());
    TRY_ASSIGN(pools, store.pools());
    std::vector<VmDemand> vms = published_demands(directory, wanted.pid);
    vms.push_back(wanted);
    return check_reservations(
        pools, vms, capacity_at_most(),
        fmt::format("--reservation {}, --memory-reservation {}", cpu_text(wanted.cpu.reservation),
                    memory_text(wanted.memory.reservation)));
}

bool reserves(const VmDemand& vm) {
    return vm.cpu.reservation != 0 || vm.memory.reservation != 0;
}

}  // namespace

Result<void> check_against_size(const ResourceTerms& cpu, const ResourceTerms& memory,
                                unsigned cpus, uint64_t memory_size) {
    if (cpu.reservation > cpus * kOneCpu) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("--reservation {}: the VM has {} CPU{} only; reserve at most {}",
                                cpu_text(cpu.reservation), cpus, cpus == 1 ? "" : "s",
                                cpu_text(cpus * kOneCpu)));
    }
    if (memory.reservation > memory_size) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("--memory-reservation {}: the VM has {} only; reserve at most that",
                                memory_text(memory.reservation), memory_text(memory_size)));
    }
    return {};
}

Result<std::unique_ptr<ResourceService>> ResourceService::create(VmApi& vm, ResourceChoice choice) {
    TRY(check_pool(choice.pool));
    auto service = std::unique_ptr<ResourceService>(new ResourceService(vm, choice));
    if (choice.control == CpuControlChoice::cgroup) {
        TRY_ASSIGN(group, CpuCgroup::create());
        service->cgroup_ = std::move(group);
    }
    if (choice.governed) service->open_cgroup();
    return service;
}

ResourceService::ResourceService(VmApi& vm, const ResourceChoice& choice)
    : vm_(vm), control_(choice.control) {
    const VmConfig& config = vm.config();
    demand_.pid = ::getpid();
    demand_.name = config.name;
    demand_.pool = choice.pool;
    demand_.governed = choice.governed;
    demand_.cpu = choice.cpu;
    demand_.memory = choice.memory;
    demand_.cpu_most = config.cpus * kOneCpu;
    demand_.cpu_demand = demand_.cpu_most;
    demand_.memory_size = config.memory;
    demand_.memory_demand = config.memory;
    if (config.balloon_target != 0)
        demand_.memory.limit = std::min(demand_.memory.limit, config.balloon_target);
    cpu_.demand = demand_.cpu_most;
}

ResourceJson ResourceService::facts() const {
    ResourceJson json = json_of(demand_);
    if (!entitlement_) return json;
    json["cpu_entitlement"] = entitlement_->cpu;
    json["cpu_ceiling"] = entitlement_->cpu_ceiling;
    json["memory_entitlement"] = entitlement_->memory;
    if (balloon_) json["memory_target"] = balloon_->target;
    if (balloon_) json["memory_actual"] = balloon_->actual;
    return json;
}

Result<void> ResourceService::admit(const RunDirectory& directory) const {
    return reserves(demand_) ? check_fit(directory, demand_) : Result<void>();
}

Result<void> ResourceService::change(const VmDemand& wanted) {
    TRY(check_against_size(wanted.cpu, wanted.memory, vm_.config().cpus, vm_.config().memory));
    TRY(check_pool(wanted.pool));
    if (!reserves(wanted)) {
        adopt(wanted);
        return {};
    }
    TRY_ASSIGN(directory, RunDirectory::open());
    TRY_ASSIGN(lock, directory.lock());
    TRY(check_fit(directory, wanted));
    adopt(wanted);
    return {};
}

void ResourceService::adopt(const VmDemand& wanted) {
    demand_.pool = wanted.pool;
    demand_.cpu = wanted.cpu;
    demand_.memory = wanted.memory;
    demand_.governed = true;
    open_cgroup();
    publish_();
}

// Once: where it is refused it stays refused.
void ResourceService::open_cgroup() {
    if (!cgroup_tried_ && cgroup_ == nullptr && control_ == CpuControlChoice::automatic) {
        auto group = CpuCgroup::create();
        if (group) {
            cgroup_ = std::move(*group);
        } else {
            LOG_INFO("resources", "%s", std::string(group.error().text()).c_str());
        }
    }
    cgroup_tried_ = true;
    demand_.control = cgroup_ != nullptr ? CpuControl::cgroup : CpuControl::throttle;
}

void ResourceService::measure() {
    measure_cpu();
    measure_memory();
}

void ResourceService::measure_cpu() {
    const auto now = Clock::now();
    const CpuTimes times = vm_.cpu_times();
    const auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(now - measured_);
    const CpuSample sample{.elapsed = static_cast<uint64_t>(elapsed.count()),
                           .used = times.used - times_.used,
                           .waited = times.waited - times_.waited,
                           .held = times.held - times_.held};
    cpu_ = estimate_demand(sample, demand_.cpu_most, cpu_);
    demand_.cpu_demand = cpu_.demand;
    demand_.cpu_used = cpu_.used;
    demand_.cpu_waited = cpu_.waited;
    times_ = times;
    measured_ = now;
}

// A guest is asked for its statistics only where they are used.
void ResourceService::measure_memory() {
    demand_.memory_resident = resident_memory();
    balloon_.reset();
    if (entitlement_) balloon_ = vm_.balloon_statistics();
    demand_.memory_demand = demand_.memory_size;
    if (balloon_) demand_.memory_demand = memory_demand_of(situation_of(demand_, *balloon_));
}

void ResourceService::apply(const RunDirectory* directory) {
    std::optional<Plan> plan;
    if (directory != nullptr) {
        plan = demand_.governed ? renewed_plan(*directory, demand_.pid) : current_plan(*directory);
    } else if (demand_.governed) {
        plan = plan_alone();
    }
    const bool planned = plan && plan->vms.contains(demand_.pid);
    if (planned) {
        keep_to(plan->vms.at(demand_.pid), *plan);
    } else {
        release();
    }
}

Plan ResourceService::plan_alone() const {
    VmDemand alone = demand_;
    alone.pool = kRootPool;
    return make_plan({}, {alone}, capacity_now({alone}), std::nullopt);
}

void ResourceService::keep_to(const VmEntitlement& entitlement, const Plan& plan) {
    open_cgroup();
    entitlement_ = entitlement;
    keep_cpu(entitlement, plan);
    keep_memory(entitlement);
}

void ResourceService::keep_cpu(const VmEntitlement& entitlement, const Plan& plan) {
    const auto at_most = [&](uint64_t amount) {
        return amount < demand_.cpu_most ? std::optional(amount) : std::nullopt;
    };
    if (cgroup_ == nullptr) {
        vm_.set_cpu_rate(at_most(entitlement.cpu));
        return;
    }
    const uint64_t part =
        entitlement.cpu * CpuCgroup::kMostWeight / std::max<uint64_t>(plan.cpu_capacity, 1);
    const auto weight = static_cast<unsigned>(std::min<uint64_t>(part, CpuCgroup::kMostWeight));
    const auto set = cgroup_->set_weight(weight).and_then(
        [&] { return cgroup_->set_ceiling(at_most(entitlement.cpu_ceiling)); });
    if (set) return;
    print_message(fmt::format("warning: {}; its vCPUs are throttled instead", set.error().text()));
    cgroup_.reset();
    demand_.control = CpuControl::throttle;
}

void ResourceService::keep_memory(const VmEntitlement& entitlement) {
    if (!balloon_) return;
    GuestMemorySituation situation = situation_of(demand_, *balloon_);
    situation.entitlement = entitlement.memory;
    const uint64_t target = next_balloon_target(situation);
    if (target == balloon_->target) return;
    [[maybe_unused]] const auto set = vm_.set_balloon_target(target);  // there is a balloon
}

// Nobody governs any more.
void ResourceService::release() {
    if (!entitlement_) return;
    entitlement_.reset();
    vm_.set_cpu_rate(std::nullopt);
    if (cgroup_ != nullptr) {
        [[maybe_unused]] const auto set = cgroup_->set_ceiling(std::nullopt);
    }
    if (!vm_.balloon_statistics()) return;
    const uint64_t all = std::min(demand_.memory_size, demand_.memory.limit);
    [[maybe_unused]] const auto given = vm_.set_balloon_target(all);
}

}  // namespace banyan
