// What `banyan pool` does: pools on disk, and what their VMs get.
#pragma once

#include <string>

#include "app/cli/pool_command.hpp"

namespace banyan {

Result<void> create_pool(const PoolCommandOptions& options);
// Fails when what is reserved, by running VMs too, would not fit any more.
Result<void> set_pool(const PoolCommandOptions& options);
// Fails when there are pools or running VMs in it.
Result<void> remove_pool(const std::string& name);

// Facts for people and for programs.
Result<std::string> pool_list_text();
Result<std::string> pool_list_json();
Result<std::string> pool_text(const std::string& name);
Result<std::string> pool_json(const std::string& name);

}  // namespace banyan
