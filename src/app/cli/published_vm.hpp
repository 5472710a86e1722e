// What the VM that this process runs tells of itself to others: a file in the RunDirectory, which
// manager/running_vms.hpp reads.
#pragma once

#include <memory>
#include <string>

#include "app/cli/resource_service.hpp"
#include "host/linux/run_directory.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

// The file goes with this object.
class PublishedVm {
public:
    // Publishes it for the first time; `stored` is a stored VM's directory. Fails with
    // ErrorCode::busy when another VM of the user's has that name, or others have reserved what
    // this one is to have.
    static Result<std::unique_ptr<PublishedVm>> create(RunDirectory directory, const VmApi& vm,
                                                       const ResourceService& resources,
                                                       const std::string& stored = {});
    ~PublishedVm();
    PublishedVm(const PublishedVm&) = delete;
    PublishedVm& operator=(const PublishedVm&) = delete;

    // `seconds`: since it was started.
    Result<void> publish(const VmApi& vm, const ResourceService& resources, double seconds) const;
    const RunDirectory& directory() const { return directory_; }

private:
    PublishedVm(RunDirectory directory, std::string stored);

    RunDirectory directory_;
    std::string file_;
    std::string stored_;  // empty: it is not stored
    uint64_t process_start_;
};

}  // namespace banyan
