// Where what a user keeps is.
#pragma once

#include <string>

namespace banyan {

// $XDG_DATA_HOME/banyan; without that variable /var/lib/banyan for root, and
// ~/.local/share/banyan for others.
std::string data_directory();

// The directory with its parents, for this user alone; those that are there stay as they are. What
// cannot be made shows when it is used.
void make_directories(const std::string& path);

}  // namespace banyan
