// StreamMember: a guest of QEMU (-netdev stream, -netdev socket) or another that speaks its framing
// over a Unix socket.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "app/switch/switch_core.hpp"
#include "host/posix/unique_fd.hpp"
#include "network/offload/frame_finisher.hpp"
#include "network/port/stream_framing.hpp"
#include "vm/poller.hpp"

namespace banyan {

// It has no handshake: its address is that of its first frame, and no other.
class StreamMember final : public SwitchMember, private PollClient {
public:
    // It has gone, or broke the protocol: to be destroyed, but not within this call.
    using Gone = std::function<void(SwitchMember&)>;

    static constexpr size_t kMostWaiting = 1 << 20;  // bytes that it has not read yet

    static Result<std::unique_ptr<StreamMember>> create(SwitchCore& core, Poller& poller,
                                                        UniqueFd socket, std::string name,
                                                        Gone gone);
    ~StreamMember() override;

    bool deliver(const NetFrame& frame) override;
    SinkRoom room() const override {
        return room_of_sink(waiting_.size() - written_, kMostWaiting);
    }
    void flush() override;

private:
    StreamMember(SwitchCore& core, Poller& poller, UniqueFd socket, std::string name, Gone gone);
    void on_ready(Readiness ready) override;
    void receive();
    void take(std::span<const std::byte> frame);
    bool join(std::span<const std::byte> first_frame);
    void append(const NetFrame& frame);
    void give_up();

    SwitchCore& core_;
    Poller& poller_;
    UniqueFd socket_;
    Gone gone_;
    bool gone_told_ = false;
    bool wants_writable_ = false;
    StreamUnframer unframer_;
    FrameFinisher finisher_;
    std::vector<std::byte> waiting_;
    size_t written_ = 0;  // of what waits
};

}  // namespace banyan
