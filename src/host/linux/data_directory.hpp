// Where a user's definitions are kept: what is to be there after a reboot.
#pragma once

#include <string>

#include "host/linux/run_directory.hpp"

namespace banyan {

// `name` in $XDG_DATA_HOME/banyan, or in ~/.local/share/banyan; made with its parents if need be.
Result<RunDirectory> open_data_directory(const std::string& name);
// One at any place.
Result<RunDirectory> open_data_directory_at(const std::string& path);

}  // namespace banyan
