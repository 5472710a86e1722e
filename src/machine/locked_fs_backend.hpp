// LockedFsBackend: a shared directory as its device sees it: completions come under the slot's
// lock, after submit() has returned.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "machine/device_slot.hpp"
#include "support/mutex.hpp"
#include "vm/file_share.hpp"

namespace banyan {

class LockedFsBackend : public FsBackend, private FsClient, private PostedWork {
public:
    LockedFsBackend(FsBackend& share, DeviceSlot& slot);

    void submit(const FsRequest& request, FsClient& client) override;
    void drain() override;
    bool mounted() const override { return share_.mounted(); }
    void reset() override { share_.reset(); }

private:
    struct Completion {
        uint64_t cookie;
        uint32_t written;
    };
    void on_fs_complete(uint64_t cookie, uint32_t written) override;
    void run_posted() override;
    std::optional<Completion> take_completion();

    FsBackend& share_;
    DeviceSlot& slot_;
    FsClient* client_ = nullptr;
    Mutex mutex_;  // leaf
    std::vector<Completion> completions_ GUARDED_BY(mutex_);
    size_t next_ GUARDED_BY(mutex_) = 0;  // the first that was not delivered yet
};

}  // namespace banyan
