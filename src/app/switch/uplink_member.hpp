// UplinkMember: what a network reaches outside of itself, through a back end of network cards
// (NAT).
#pragma once

#include <memory>
#include <mutex>

#include "app/switch/switch_core.hpp"
#include "backends/net/frame_buffer.hpp"
#include "host/posix/notifier.hpp"
#include "network/offload/frame_finisher.hpp"

namespace banyan {

// The back end calls from a thread of its own: its frames wait here for the poller's.
class UplinkMember final : public SwitchMember, private NetClient {
public:
    static Result<std::unique_ptr<UplinkMember>> create(SwitchCore& core, Poller& poller,
                                                        std::unique_ptr<NetBackend> outside);
    ~UplinkMember() override;

    bool deliver(const NetFrame& frame) override;
    void flush() override {}

private:
    UplinkMember(SwitchCore& core, std::unique_ptr<NetBackend> outside);
    size_t on_frames(std::span<const NetFrame> frames) override;
    void forward_waiting();

    SwitchCore& core_;
    std::unique_ptr<NetBackend> outside_;
    std::unique_ptr<Notifier> notifier_;
    FrameFinisher finisher_;
    FrameBuffer forwarded_;  // taken from waiting_
    bool started_ = false;

    std::mutex mutex_;  // a leaf: nothing is called under it
    FrameBuffer waiting_;
    bool outside_waits_ = false;
};

}  // namespace banyan
