// What the VM that this process runs tells of itself to others: a file in the RunDirectory, which
// manager/running_vms.hpp reads.
#pragma once

#include <memory>
#include <string>

#include "host/linux/run_directory.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

// The file goes with this object.
class PublishedVm {
public:
    // Publishes it for the first time. Fails with ErrorCode::busy when another VM of the user's has
    // that name.
    static Result<std::unique_ptr<PublishedVm>> create(RunDirectory directory, const VmApi& vm);
    ~PublishedVm();
    PublishedVm(const PublishedVm&) = delete;
    PublishedVm& operator=(const PublishedVm&) = delete;

    // `seconds`: since it was started.
    Result<void> publish(const VmApi& vm, double seconds) const;

private:
    explicit PublishedVm(RunDirectory directory);

    RunDirectory directory_;
    std::string file_;
    uint64_t process_start_;
};

}  // namespace banyan
