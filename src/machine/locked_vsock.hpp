// LockedVsockClient: a socket device's end of its streams, as the back end sees it: each call takes
// the slot's lock.
#pragma once

#include <memory>
#include <utility>

#include "machine/device_slot.hpp"
#include "vm/vsock.hpp"

namespace banyan {

class LockedVsockClient final : public VsockClient {
public:
    explicit LockedVsockClient(DeviceSlot& slot) : slot_(slot) {}
    void connect(VsockClient& device) { device_ = &device; }

    void on_stream_ready(uint32_t cookie, Readiness ready) override {
        SlotLock lock(slot_);
        device_->on_stream_ready(cookie, ready);
    }
    void on_connect(uint32_t guest_port, std::unique_ptr<VsockStream> stream) override {
        SlotLock lock(slot_);
        device_->on_connect(guest_port, std::move(stream));
    }
    void hold(bool held) override {
        SlotLock lock(slot_);
        device_->hold(held);
    }

private:
    DeviceSlot& slot_;
    VsockClient* device_ = nullptr;
};

}  // namespace banyan
