// --net and --publish, and rates of cards.
#pragma once

#include <string>
#include <vector>

#include "vmm/vm_config.hpp"

namespace banyan {

// Without any `nets` a VM has one card, on a NAT. Published ports belong to the first NAT.
Result<std::vector<NetChoice>> parse_nets(const std::vector<std::string>& nets,
                                          const std::vector<std::string>& published);

// Bytes a second: a size with K, M, G, or bits: "500kbit", "100mbit", "1gbit".
Result<uint64_t> parse_net_rate(std::string_view option, std::string_view text);

}  // namespace banyan
