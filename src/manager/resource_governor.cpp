#include "manager/resource_governor.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <fstream>
#include <sched.h>
#include <sstream>

#include "host/linux/memory_limits.hpp"
#include "host/posix/host_error.hpp"
#include "manager/pool_store.hpp"
#include "manager/resource_json.hpp"
#include "manager/running_vms.hpp"

namespace banyan {

namespace {

constexpr const char* kPlanFile = "resources.plan";
constexpr uint64_t kMillion = 1'000'000;
constexpr uint64_t kRenewAfter = 900 * kMillion;  // nanoseconds
constexpr uint64_t kStaleAfter = 5000 * kMillion;
// Of the host's memory, for all that is no guest.
constexpr uint64_t kKeptPart = 20;

uint64_t now() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
}

// A clock that was set back is a host that was booted again.
bool is_younger(const Plan& plan, uint64_t nanoseconds) {
    const uint64_t time = now();
    return plan.made_at <= time && time - plan.made_at < nanoseconds;
}

uint64_t cpus_of_this_process() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof(set), &set) != 0) return kOneCpu;
    return static_cast<uint64_t>(std::max(CPU_COUNT(&set), 1)) * kOneCpu;
}

std::string read_meminfo() {
    std::stringstream all;
    all << std::ifstream("/proc/meminfo").rdbuf();
    return all.str();
}

Result<void> check_one(const std::vector<Pool>& ordered, const ResourceTree& tree,
                       uint64_t capacity, std::string_view what, std::string_view resource,
                       std::string (*text)(uint64_t)) {
    const auto found = find_overcommitment(capacity, tree.nodes);
    if (!found) return {};
    if (found->node >= tree.pools) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: {} of {} are reserved, and the limit is {}; reserve less, or "
                                "raise the limit",
                                what, text(found->reserved), resource, text(found->available)));
    }
    const bool is_root = found->node == 0;
    return fail(
        ErrorCode::busy,
        fmt::format("{}: the reservations do not fit: in the pool {} {} of {} would be reserved, "
                    "and {} {}; reserve less, end or change other VMs, {}",
                    what, quote_name(ordered[found->node].name), text(found->reserved), resource,
                    is_root ? "this host has" : "its limit is", text(found->available),
                    is_root ? "or see banyan pool show root" : "or raise the pool's limit"));
}

}  // namespace

std::optional<Plan> current_plan(const RunDirectory& directory) {
    const auto text = directory.read(kPlanFile);
    auto plan = text ? plan_from(*text) : std::nullopt;
    if (plan && !is_younger(*plan, kStaleAfter)) plan.reset();
    return plan;
}

std::optional<Plan> renewed_plan(const RunDirectory& directory, int maker) {
    auto before = current_plan(directory);
    if (before && is_younger(*before, kRenewAfter)) return before;
    const auto store = PoolStore::open();
    const auto pools = store ? store->pools() : tl::unexpected(store.error());
    const std::vector<VmDemand> vms = published_demands(directory);
    Plan plan = make_plan(pools.value_or(std::vector<Pool>()), vms, capacity_now(vms), before);
    plan.made_at = now();
    plan.maker = maker;
    // What others do not see does not hold.
    if (!directory.write(kPlanFile, json_of(plan).dump() + "\n")) return before;
    return plan;
}

std::vector<VmDemand> published_demands(const RunDirectory& directory, int but_of) {
    std::vector<VmDemand> all;
    for (const RunningVm& vm : running_vms(directory)) {
        auto demand = demand_from(vm);
        if (demand && demand->pid != but_of) all.push_back(std::move(*demand));
    }
    return all;
}

HostCapacity capacity_now(const std::vector<VmDemand>& vms) {
    const std::string meminfo = read_meminfo();
    uint64_t memory = meminfo_bytes(meminfo, "MemAvailable").value_or(0);
    for (const VmDemand& vm : vms)
        memory += std::min(vm.memory_resident, vm.memory_size);
    const uint64_t kept = meminfo_bytes(meminfo, "MemTotal").value_or(0) / kKeptPart;
    return {cpus_of_this_process(), memory - std::min(memory, kept)};
}

HostCapacity capacity_at_most() {
    const uint64_t total = meminfo_bytes(read_meminfo(), "MemTotal").value_or(0);
    return {cpus_of_this_process(), total - total / kKeptPart};
}

Result<void> check_reservations(const std::vector<Pool>& pools, const std::vector<VmDemand>& vms,
                                const HostCapacity& capacity, std::string_view what) {
    const std::vector<Pool> ordered = in_order(pools);
    TRY(check_one(ordered, cpu_tree(ordered, vms), capacity.cpu, what, "CPU", cpu_text));
    return check_one(ordered, memory_tree(ordered, vms), capacity.memory, what, "memory",
                     memory_text);
}

std::string cpu_text(uint64_t amount) {
    if (amount == kUnlimited) return "none";
    const uint64_t tenths = (amount * 1000 + kOneCpu / 2) / kOneCpu;
    return tenths % 10 == 0 ? fmt::format("{}%", tenths / 10)
                            : fmt::format("{}.{}%", tenths / 10, tenths % 10);
}

std::string memory_text(uint64_t amount) {
    return amount == kUnlimited ? "none" : readable_size(amount);
}

}  // namespace banyan
