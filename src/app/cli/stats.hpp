// `banyan stats`: figures of running VMs.
#pragma once

#include <string>

#include "support/result.hpp"

namespace banyan {

class RunDirectory;

// Of all VMs, or of those that have this name or process number; `wanted` empty: all. Fails with
// ErrorCode::not_found when none is meant.
Result<std::string> stats_text(const RunDirectory& directory, const std::string& wanted);
Result<std::string> stats_json(const RunDirectory& directory, const std::string& wanted);

}  // namespace banyan
