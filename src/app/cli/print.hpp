// What a command was asked to print.
#pragma once

#include <string>

namespace banyan {

// To standard output; returns the exit status.
int print_output(const std::string& text);

}  // namespace banyan
