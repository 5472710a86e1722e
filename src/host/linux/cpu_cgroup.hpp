// CpuCgroup: a control group of this process alone, by which the host's scheduler gives it a weight
// and a ceiling of CPU time. Version 2 (cpu.weight, cpu.max) or 1 (cpu.shares, cpu.cfs_quota_us) of
// control groups, where this user may make groups.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/result.hpp"

namespace banyan {

// A group below which others may be made, if the kernel lets us.
struct CgroupPlace {
    std::string directory;
    bool unified = false;  // version 2

    bool operator==(const CgroupPlace&) const = default;
};

// Of /proc/self/cgroup: the group that this process is in (the first), and where a group of its own
// might be made, the best first. Empty: no controller of CPU time. `root` is where control groups
// are mounted.
struct CgroupPlaces {
    std::string own;
    std::vector<CgroupPlace> candidates;
};
CgroupPlaces cpu_cgroup_places(std::string_view proc_self_cgroup, bool has_unified_cpu,
                               const std::string& root);

class CpuCgroup {
public:
    static constexpr unsigned kMostWeight = 10'000;

    // Makes `banyan/vm-PID` in the first place that allows it, and moves this process there. Groups
    // of processes that have ended are removed. Fails with what the host said last.
    static Result<std::unique_ptr<CpuCgroup>> create();
    static Result<std::unique_ptr<CpuCgroup>> create_in(const CgroupPlaces& places, int pid);
    // The process goes back to where it was.
    ~CpuCgroup();
    CpuCgroup(const CpuCgroup&) = delete;
    CpuCgroup& operator=(const CpuCgroup&) = delete;

    // Among the groups of Banyan's: 1 to kMostWeight.
    Result<void> set_weight(unsigned weight);
    // Microseconds of CPU time a second; nothing: none.
    Result<void> set_ceiling(std::optional<uint64_t> ceiling);
    const std::string& directory() const { return directory_; }

private:
    CpuCgroup(std::string own, std::string directory, bool unified, int pid)
        : own_(std::move(own)), directory_(std::move(directory)), unified_(unified), pid_(pid) {}
    static Result<std::unique_ptr<CpuCgroup>> make(const std::string& own, const CgroupPlace& place,
                                                   int pid);
    Result<void> write(std::string_view file, const std::string& text) const;

    std::string own_;  // where the process was
    std::string directory_;
    bool unified_;
    int pid_;
};

}  // namespace banyan
