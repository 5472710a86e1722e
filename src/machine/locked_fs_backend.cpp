#include "machine/locked_fs_backend.hpp"

namespace banyan {

LockedFsBackend::LockedFsBackend(FsBackend& share, DeviceSlot& slot) : share_(share), slot_(slot) {
    constexpr size_t kUsualInFlight = 64;
    completions_.reserve(kUsualInFlight);
}

void LockedFsBackend::submit(const FsRequest& request, FsClient& client) {
    client_ = &client;
    share_.submit(request, *this);
}

void LockedFsBackend::drain() {
    share_.drain();
    run_posted();  // the caller holds the lock
}

void LockedFsBackend::on_fs_complete(uint64_t cookie, uint32_t written) {
    {
        MutexLock guard(mutex_);
        completions_.push_back({cookie, written});
    }
    slot_.post(*this);
}

// One at a time, because the device may submit, or drain, from within.
void LockedFsBackend::run_posted() {
    while (const auto completion = take_completion())
        client_->on_fs_complete(completion->cookie, completion->written);
}

std::optional<LockedFsBackend::Completion> LockedFsBackend::take_completion() {
    MutexLock guard(mutex_);
    if (next_ == completions_.size()) {
        completions_.clear();
        next_ = 0;
        return std::nullopt;
    }
    return completions_[next_++];
}

}  // namespace banyan
