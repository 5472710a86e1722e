// `banyan events`: what becomes of running VMs, as it happens.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "host/linux/run_directory.hpp"

namespace banyan {

// Of the VM that has this name or process number, until it ends; empty: of all that run and those
// that begin later, until a signal comes. Gives the exit status.
int print_events(const RunDirectory& directory, const std::string& wanted, bool as_json);

// A line of `event` of the VM called `name`.
std::string event_text(const std::string& name, const nlohmann::ordered_json& event);

}  // namespace banyan
