// What running VMs tell of themselves, and who reads it: files in the RunDirectory, until there is
// a control socket to ask (docs/decisions/0011-published-statistics.md).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/linux/run_directory.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

// The VM that this process runs. Its file goes with this object.
class PublishedVm {
public:
    PublishedVm(RunDirectory directory, std::string name);
    ~PublishedVm();
    PublishedVm(const PublishedVm&) = delete;
    PublishedVm& operator=(const PublishedVm&) = delete;

    // `seconds`: since it was started.
    Result<void> publish(const VmApi& vm, double seconds) const;

private:
    RunDirectory directory_;
    std::string name_;
    std::string file_;
};

// As published: {"name", "pid", "engine", "seconds", "vcpus": [{"instructions", ...}]}.
using RunningVm = nlohmann::ordered_json;

// By its name or its process number.
bool is_called(const RunningVm& vm, const std::string& wanted);

// In the order of their process numbers. Files of those that have died are removed.
std::vector<RunningVm> running_vms(const RunDirectory& directory);

}  // namespace banyan
