// The log and all other messages on standard error, one line each.
#pragma once

#include <string_view>

#include "support/log.hpp"

namespace banyan {

class RotatingFile;

// Makes LOG_* write to standard error as `banyan: <level>: <component>: <text>`.
void install_stderr_log();

// Writes `banyan: <text>` as one line in one piece. Control characters become '?'. From any thread.
void print_message(std::string_view text);

// From now on messages go there; null: to standard error again. While no other thread writes any.
void write_messages_to(RotatingFile* file);

}  // namespace banyan
