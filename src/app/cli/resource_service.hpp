// ResourceService: what this process does for the resources of its VM: tells what it demands, and
// keeps it to what it is entitled to. On the event loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "host/linux/cpu_cgroup.hpp"
#include "host/linux/run_directory.hpp"
#include "manager/resource_json.hpp"
#include "resources/cpu_demand.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

enum class CpuControlChoice : uint8_t { automatic, cgroup, throttle };

struct ResourceChoice {
    std::string pool = kRootPool;
    bool governed = false;  // anything was asked for
    ResourceTerms cpu;
    ResourceTerms memory;
    CpuControlChoice control = CpuControlChoice::automatic;
};

// A reservation that the VM itself is too small for makes no sense.
Result<void> check_against_size(const ResourceTerms& cpu, const ResourceTerms& memory,
                                unsigned cpus, uint64_t memory_size);

class ResourceService {
public:
    // Fails when there is no such pool, or no control group although it must be one.
    static Result<std::unique_ptr<ResourceService>> create(VmApi& vm, ResourceChoice choice);
    ResourceService(const ResourceService&) = delete;
    ResourceService& operator=(const ResourceService&) = delete;

    // To be published: json_of(VmDemand), and what the VM is entitled to and has.
    ResourceJson facts() const;
    // Whether its reservations fit beside those of all others. Fails with ErrorCode::busy.
    Result<void> admit(const RunDirectory& directory) const;

    // Once a second: measure(), then the facts are published, then apply(). Without a directory the
    // VM is kept to its own limits only.
    void measure();
    void apply(const RunDirectory* directory);

    // New terms for the VM that runs, if they fit. Others are to see them at once: `publish` is
    // called when they have changed.
    const VmDemand& terms() const { return demand_; }
    void on_change(std::function<void()> publish) { publish_ = std::move(publish); }
    Result<void> change(const VmDemand& wanted);

private:
    using Clock = std::chrono::steady_clock;

    ResourceService(VmApi& vm, const ResourceChoice& choice);
    void adopt(const VmDemand& wanted);
    void measure_cpu();
    void measure_memory();
    Plan plan_alone() const;
    void keep_to(const VmEntitlement& entitlement, const Plan& plan);
    void keep_cpu(const VmEntitlement& entitlement, const Plan& plan);
    void keep_memory(const VmEntitlement& entitlement);
    void open_cgroup();
    void release();

    VmApi& vm_;
    const CpuControlChoice control_;
    VmDemand demand_;
    CpuDemand cpu_;
    CpuTimes times_;
    Clock::time_point measured_ = Clock::now();
    std::optional<VmEntitlement> entitlement_;  // nothing: nobody governs
    std::optional<BalloonStatistics> balloon_;  // while somebody does
    std::unique_ptr<CpuCgroup> cgroup_;         // null: throttle
    bool cgroup_tried_ = false;
    std::function<void()> publish_ = [] {};
};

}  // namespace banyan
