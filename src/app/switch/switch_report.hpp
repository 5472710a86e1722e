// What a network tells of itself, as JSON, and the leases that it keeps for its next life.
#pragma once

#include <string>
#include <vector>

#include "app/switch/switch_core.hpp"

namespace banyan {

struct ReportFrame {
    std::string stream_socket;
    double seconds = 0;  // since it was started
};

std::string switch_report(const SwitchCore& core, const std::vector<const SwitchMember*>& members,
                          const ReportFrame& frame);

std::string leases_json(const NetworkServices& services);
// What is malformed is left out.
void restore_leases(SwitchCore& core, std::string_view json);

}  // namespace banyan
