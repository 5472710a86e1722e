#include "machine/locked_fs_backend.hpp"

namespace banyan {

LockedFsBackend::LockedFsBackend(FsBackend& share, DeviceSlot& slot) : share_(share), slot_(slot) {}

void LockedFsBackend::submit(const FsRequest& request, FsClient& client) {
    client_ = &client;
    share_.submit(request, *this);
}

void LockedFsBackend::drain() {
    share_.drain();
    run_posted();  // the caller holds the lock
}

void LockedFsBackend::on_fs_complete(uint64_t cookie, uint32_t written) {
    completions_.put({cookie, written});
    slot_.post(*this);
}

void LockedFsBackend::run_posted() {
    while (const auto completion = completions_.take())
        client_->on_fs_complete(completion->cookie, completion->written);
}

}  // namespace banyan
