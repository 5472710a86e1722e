// Programs of Banyan's own that stand beside the one that runs.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

#include "support/result.hpp"

namespace banyan {

// "/usr/bin/NAME" where this program is /usr/bin/banyan.
std::string helper_path(const std::string& name);

// Starts arguments[0], with no input, standard output to `out`, standard error to `errors` (-1: the
// own). It takes no signal that this process holds. `what` begins the message of an error.
Result<pid_t> start_helper(const std::string& what, const std::vector<std::string>& arguments,
                           int out, int errors = -1);

// What it writes first; empty when it has ended, or says nothing for 20 seconds.
std::string first_line_of_helper(int fd);

}  // namespace banyan
