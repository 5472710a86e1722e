// Facts of running VMs for people. What a VM says of itself is printed without control characters.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "manager/vm_actions.hpp"

namespace banyan {

// Of a list of summary_of(), and of facts_of().
std::string list_text(const nlohmann::ordered_json& vms);
std::string show_text(const nlohmann::ordered_json& facts);
// Of devices_of().
std::string devices_text(const nlohmann::ordered_json& devices);
std::string json_text(const nlohmann::ordered_json& json);
// "it powered off".
std::string ending_text(const VmEnding& ending);
// "1 min 5 s".
std::string duration_text(double seconds);

}  // namespace banyan
