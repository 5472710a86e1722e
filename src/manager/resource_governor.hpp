// The governor of a user's VMs: no process, but what each VM's process does once a second
// (docs/decisions/0028-governor.md). Whoever finds that the last plan is a second old makes the
// next from what all have published, and leaves it in the RunDirectory.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "host/linux/run_directory.hpp"
#include "resources/plan.hpp"

namespace banyan {

// The last plan; nothing: none was made lately, and no VM is governed.
std::optional<Plan> current_plan(const RunDirectory& directory);

// The same, and makes a new one unless that is young enough. What cannot be left for the others
// does not hold.
std::optional<Plan> renewed_plan(const RunDirectory& directory, int maker);

// What all running VMs have told of themselves, but one: 0: of all.
std::vector<VmDemand> published_demands(const RunDirectory& directory, int but_of = 0);

// What there is to divide: CPUs that this process may use; memory that the host has for VMs now,
// theirs included, or that it could have at most if all else let go of it.
HostCapacity capacity_now(const std::vector<VmDemand>& vms);
HostCapacity capacity_at_most();

// Whether all reservations fit, those of `vms` and of the pools. Fails with
// ErrorCode::busy, with the numbers; `what` begins the message.
Result<void> check_reservations(const std::vector<Pool>& pools, const std::vector<VmDemand>& vms,
                                const HostCapacity& capacity, std::string_view what);

// "25%", "128 MiB", "none".
std::string cpu_text(uint64_t amount);
std::string memory_text(uint64_t amount);

}  // namespace banyan
