// The log and all other messages on standard error, one line each.
#pragma once

#include <string_view>

#include "support/log.hpp"

namespace banyan {

// Makes LOG_* write to standard error as `banyan: <level>: <component>: <text>`.
void install_stderr_log();

// Writes `banyan: <text>` as one line in one piece. Control characters become '?'. From any thread.
void print_message(std::string_view text);

}  // namespace banyan
