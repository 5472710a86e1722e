// How much memory this process can still get from its host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "support/result.hpp"

namespace banyan {

// The amount behind `name:` in the form of /proc/meminfo, in bytes.
std::optional<uint64_t> meminfo_bytes(std::string_view meminfo, std::string_view name);

// Where the memory controller's files of this process are, from /proc/self/cgroup: first version
// 1's, else version 2's path below the mount point, and whether it is version 2.
struct CgroupPath {
    std::string path;
    bool unified = false;
};
std::optional<CgroupPath> memory_cgroup(std::string_view proc_self_cgroup);

// Fails, with the limit by name, when `size` bytes more are out of reach: free memory and swap,
// control groups, resource limits. Nothing is reserved.
Result<void> check_memory_available(uint64_t size);

// What check_memory_available() would allow, in bytes.
uint64_t available_memory();

// "512 MiB", "1.5 GiB".
std::string readable_size(uint64_t bytes);

}  // namespace banyan
