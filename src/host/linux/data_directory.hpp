// Where what a user keeps is: what is to be there after a reboot.
#pragma once

#include <string>

#include "host/linux/run_directory.hpp"

namespace banyan {

// $XDG_DATA_HOME/banyan; without that variable /var/lib/banyan for root, and
// ~/.local/share/banyan for others.
std::string data_directory();

// The directory with its parents, for this user alone; those that are there stay as they are. What
// cannot be made shows when it is used.
void make_directories(const std::string& path);

// `name` in data_directory(); made with its parents if need be.
Result<RunDirectory> open_data_directory(const std::string& name);
// One at any place.
Result<RunDirectory> open_data_directory_at(const std::string& path);

}  // namespace banyan
