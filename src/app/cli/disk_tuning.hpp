// Settings of --disk that say how a disk is served: cache=, iops=, bps= and their kin.
#pragma once

#include <string>

#include "vmm/vm_config.hpp"

namespace banyan {

// False: `key` is none of them. A rate is N or N:BURST, of bytes with K, M, G, T.
Result<bool> parse_disk_tuning(const std::string& key, const std::string& value, DiskFile& disk);

}  // namespace banyan
