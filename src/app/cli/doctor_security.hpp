// `banyan doctor --security [NAME]`: what confines the VMs that run.
#pragma once

#include <string>

#include "support/result.hpp"

namespace banyan {

// `wanted`: a VM's name or process number; empty: all. For people, or as one JSON object. What the
// VM says itself is marked as such: the rest is the kernel's word. Fails with
// ErrorCode::not_found when there is no such VM.
Result<std::string> security_text(const std::string& wanted);
Result<std::string> security_json(const std::string& wanted);

}  // namespace banyan
