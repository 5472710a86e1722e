// LockedFsBackend: a shared directory as its device sees it: completions come under the slot's
// lock, after submit() has returned.
#pragma once

#include <cstdint>

#include "machine/completion_queue.hpp"
#include "machine/device_slot.hpp"
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

    FsBackend& share_;
    DeviceSlot& slot_;
    FsClient* client_ = nullptr;
    CompletionQueue<Completion> completions_{64};
};

}  // namespace banyan
