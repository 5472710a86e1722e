// Pools, demands and plans as JSON: in the file of the pools, in what a VM publishes of itself, and
// in the plan that VMs leave for each other. Amounts are numbers; no limit is null.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "resources/plan.hpp"

namespace banyan {

using ResourceJson = nlohmann::ordered_json;

// {"shares", "reservation", "limit"}.
ResourceJson json_of(const ResourceTerms& terms);
// What is missing or makes no sense takes its default.
ResourceTerms terms_from(const ResourceJson& json);

ResourceJson json_of(const Pool& pool);
// Nothing: it has no name.
std::optional<Pool> pool_from(const ResourceJson& json);

ResourceJson json_of(const VmDemand& vm);
// Of a RunningVm: {"name", "pid", "resources": json_of(VmDemand)}. Nothing: another version of
// Banyan published it.
std::optional<VmDemand> demand_from(const ResourceJson& running_vm);

ResourceJson json_of(const Plan& plan);
std::optional<Plan> plan_from(std::string_view text);

}  // namespace banyan
