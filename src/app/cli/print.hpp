// What a command was asked to print, and what it could not do.
#pragma once

#include <string>

#include "app/cli/cli.hpp"
#include "support/result.hpp"

namespace banyan {

// To standard output; returns the exit status.
int print_output(const std::string& text);

// To standard error; returns the exit status.
int print_error(const Error& error, int status = kStatusFailed);

}  // namespace banyan
