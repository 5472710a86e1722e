// --net and --publish.
#pragma once

#include <string>
#include <vector>

#include "vmm/vm_config.hpp"

namespace banyan {

// Without any `nets` a VM has one card, on a NAT. Published ports belong to the first NAT.
Result<std::vector<NetChoice>> parse_nets(const std::vector<std::string>& nets,
                                          const std::vector<std::string>& published);

}  // namespace banyan
